"""What the databases of both APIs have in common: their methods, declared once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from couchette.errors import CouchetteError
from couchette.pouchdb import authentication, design, documents, queries, upkeep, validation, views
from couchette.pouchdb.context import Context
from couchette.pouchdb.core import EnvironmentCore
from couchette.pouchdb.errors import EnvironmentError, from_couchette
from couchette.pouchdb.operations import ANYTHING, operation
from couchette.pouchdb.results import Result, Results

NO_RESULT: type[None] = type(None)


class AbstractPouchDB:
    """A database: what its methods do in both APIs.

    Each method has its name in PouchDB's style and in PEP 8's. Options are keywords in either style; one that a method
    does not know is ignored. Documents may be given as JSON text.

    Never make one yourself: ``setup().PouchDB(name, **options)`` does.
    """

    _face: ClassVar[str]
    _environment_core: ClassVar[EnvironmentCore | None] = None
    _context: ClassVar[Context]
    prefix: ClassVar[str] = ""
    """PouchDB puts this before the names of its files; here it is empty."""

    def __init__(self, name: str, **options: Any) -> None:
        """Open a database, or create it.

        A URL such as ``http://domain.com/dbname`` is a database on a server, of which this is a client.

        Args:
            name: any text, or a URL.
            auth: ``{"username": ..., "password": ...}`` for a server, where the URL does not say it.
            skip_setup: True not to create a server's database that is missing.
            auto_compaction: whether a write drops the revision that it replaces; of local databases, and kept in them.
            revs_limit: how many ancestors of a revision are known; likewise.
        """
        if self._environment_core is None:
            raise EnvironmentError("A database belongs to an environment: make it with `setup().PouchDB(name)`.")
        try:
            self._core = self._environment_core.database(name, options)
        except CouchetteError as exc:
            raise from_couchette(exc) from exc

    @classmethod
    def plugin(cls, plugin: Any) -> type[AbstractPouchDB]:
        """Add methods to the databases of this environment; return the class.

        ``plugin`` is a mapping of names to functions, or an object whose public functions are taken, such as a module
        or a namespace; each gets the database as its first argument. Or it is a function that is called with the class.

        Raises:
            EnvironmentError: there are no functions in it.
        """
        if callable(plugin) and not isinstance(plugin, type):
            plugin(cls)
            return cls
        names = plugin if isinstance(plugin, Mapping) else getattr(plugin, "__dict__", {})
        members = plugin if isinstance(plugin, Mapping) else {name: getattr(plugin, name) for name in names}
        functions = {
            name: member
            for name, member in members.items()
            if callable(member) and not name.startswith("_") and not isinstance(member, type)
        }
        if not functions:
            raise EnvironmentError(f'Invalid plugin: got "{plugin!r}", expected an object or a function')
        for name, function in functions.items():
            setattr(cls, name, function)
        return cls

    # Documents
    get = operation(documents.get, ANYTHING)
    put = operation(documents.put, Result)
    post = operation(documents.post, Result)
    remove = operation(documents.remove, Result)
    bulkDocs = bulk_docs = operation(documents.bulk_docs, Results)
    bulkGet = bulk_get = operation(documents.bulk_get, Result)
    allDocs = all_docs = operation(documents.all_docs, Result)
    revsDiff = revs_diff = operation(documents.revs_diff, Result)
    putAttachment = put_attachment = operation(documents.put_attachment, Result)
    getAttachment = get_attachment = operation(documents.get_attachment, Result)
    removeAttachment = remove_attachment = operation(documents.remove_attachment, Result)

    # Queries
    query = operation(views.query, Result)
    find = operation(views.find, Result)
    explain = operation(views.explain, Result)
    createIndex = create_index = operation(views.create_index, Result)
    getIndexes = get_indexes = operation(views.get_indexes, Result)
    deleteIndex = delete_index = operation(views.delete_index, Result)
    gql = operation(queries.gql, Result)
    search = operation(queries.search, Result)
    spatial = operation(queries.spatial, Result)
    viewCleanup = view_cleanup = operation(queries.view_cleanup, Result)

    # Design functions
    show = operation(design.show, Result)
    list = operation(design.list_, Result)
    update = _update = operation(design.update, ANYTHING)
    rewrite = operation(design.rewrite, ANYTHING)
    rewriteResultRequestObject = rewrite_result_request_object = operation(design.rewrite_result_request_object, Result)

    # Writes that are validated
    validatingPut = validating_put = operation(validation.validating_put, Result)
    validatingPost = validating_post = operation(validation.validating_post, Result)
    validatingRemove = validating_remove = operation(validation.validating_remove, Result)
    validatingBulkDocs = validating_bulk_docs = operation(validation.validating_bulk_docs, Results)
    validatingPutAttachment = validating_put_attachment = operation(validation.validating_put_attachment, Result)
    validatingRemoveAttachment = validating_remove_attachment = operation(
        validation.validating_remove_attachment, Result
    )

    # The database
    info = operation(upkeep.info, Result)
    compact = operation(upkeep.compact, Result)
    purge = operation(upkeep.purge, Result)
    close = operation(upkeep.close, NO_RESULT)
    destroy = operation(upkeep.destroy, Result)
    getSecurity = get_security = operation(upkeep.get_security, Result)
    putSecurity = put_security = operation(upkeep.put_security, Result)

    # Users
    signup = signUp = sign_up = operation(authentication.signup, Result)
    login = logIn = log_in = operation(authentication.login, Result)
    logout = logOut = log_out = operation(authentication.logout, Result)
    getSession = get_session = operation(authentication.get_session, Result)
    getUser = get_user = operation(authentication.get_user, Result)

    # What may go on by itself, and therefore differs

    @abstractmethod
    def changes(self, *args: Any, **options: Any) -> Any:
        """The changes of the database, in their order; each is given to the option ``onChange``.

        With ``live`` or ``continuous`` those to come as well, until ``cancel()`` of what this returns. Options:
        ``since``, ``limit``, ``descending``, ``include_docs``, ``conflicts``, ``attachments``, ``binary``, ``style``,
        ``doc_ids``, ``selector``, ``filter`` (``"design/name"`` or a Python function) or ``view``, ``query_params``,
        ``return_docs`` (False: ``complete`` gets no results), ``complete``.
        """

    @abstractmethod
    def replicateTo(self, remoteDB: Any, *args: Any, **options: Any) -> Any:
        """Replicate to another database; see :meth:`AbstractEnvironment.replicate`."""

    @abstractmethod
    def replicateFrom(self, remoteDB: Any, *args: Any, **options: Any) -> Any:
        """Replicate from another database; see :meth:`AbstractEnvironment.replicate`."""

    @abstractmethod
    def sync(self, remoteDB: Any, *args: Any, **options: Any) -> Any:
        """Replicate to another database and from it; see :meth:`AbstractEnvironment.sync`."""

    replicate_to = replicateTo
    replicate_from = replicateFrom

    def __repr__(self) -> str:
        return f"<pouchdb.{self._face} object at {id(self):#x}>"
