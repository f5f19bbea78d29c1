"""Python objects as documents: any that jsonpickle can write, as JSON that names their classes.

To read such a document is to run code of whoever wrote it: it says which class is to be imported, and what is to be
called with which arguments. And a document may come from anywhere, by replication. So an object is loaded without
further ado only when this environment stored it: ``store`` seals what it writes with the secret of the environment's
folder, which does not replicate. Of other documents only plain data and the classes that the caller names are made.

The members of a document cannot begin with an underscore, and those of objects often do: in all objects of the JSON
such a name gets a prefix, and so does a name that begins with the prefix itself, or it would lose it when it is read.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from couchette import jsonio
from couchette.document.docid import new_id
from couchette.errors import BadRequest, Forbidden, MissingExtra
from couchette.pouchdb.errors import from_couchette
from couchette.pouchdb.results import plain
from couchette.users.secret import stored_secret

if TYPE_CHECKING:
    from couchette.pouchdb.mapping.documents import Documents

T = TypeVar("T")
Doc = dict[str, Any]

PREFIX: Final = "python-pouchdb-"
VALUE: Final = "value"
"""With the prefix, the member of a document that holds what is no JSON object by itself."""
SEAL: Final = "seal"
"""With the prefix, the member that says who stored the document."""

_PURPOSE: Final = b"couchette object storage\0"
_JSON_KEY: Final = "json://"
"""What jsonpickle writes before a key of a dictionary that is no text; the key follows, as JSON."""

_HARMLESS_TAGS: Final = frozenset(
    f"py/{tag}"
    for tag in (
        *("b64", "b85", "bytes", "id", "initargs", "iterator", "newargs", "newargsex", "newobj", "reduce", "ref"),
        *("seq", "set", "state", "tuple"),
    )
)
"""Tags that name no code; those that do are ``py/object`` and ``py/type``, whose classes are looked at, and others."""

_REBUILDING: Final = frozenset({"copyreg.__newobj__", "copyreg._reconstructor"})
"""Functions that make an instance of a class, which is named beside them."""

_DATA: Final = frozenset(
    {
        *(f"builtins.{name}" for name in ("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset")),
        *(f"builtins.{name}" for name in ("int", "list", "object", "set", "str", "tuple")),
        *(f"collections.{name}" for name in ("Counter", "OrderedDict", "defaultdict", "deque")),
        *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
        *("decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
    }
)
"""Classes that are data and nothing else; anybody's documents may have them."""


def store(obj: T, db: Documents, id: str | None = None, rev: str | None = None, prefix: str | None = None) -> T:
    """Store any object that jsonpickle can write; return it, with its ``id`` and ``rev`` set where it takes attributes.

    Args:
        db: a SyncPouchDB, or another database with its ``get`` and ``put``.
        id: of the document; otherwise the object's own ``id``, or a new one.
        rev: of the revision to replace; otherwise the object's own ``rev``, if it has one.
        prefix: what names with an underscore begin with in the document; ``python-pouchdb-`` by default.

    Raises:
        PouchDBError: what ``put`` raises, Conflict among it.
        MissingExtra: jsonpickle is not installed.
    """
    prefix = _checked(prefix)
    doc_id = id or getattr(obj, "id", None) or new_id()
    known_rev = rev or getattr(obj, "rev", None)
    pickled = _jsonpickle().pickler.Pickler(keys=True, warn=True).flatten(obj, reset=True)
    if isinstance(pickled, dict):
        content = _escaped(pickled, prefix)
        if "py/object" in pickled:
            # They are the document's own, and set again when it is loaded.
            content = {name: value for name, value in content.items() if name not in ("id", "rev")}
    else:
        content = {prefix + VALUE: _escaped(pickled, prefix)}
    secret = _secret_of(db)
    if secret is not None:
        content[prefix + SEAL] = _seal(secret, doc_id, content)
    stored = db.put({"_id": doc_id, **({} if known_rev is None else {"_rev": known_rev}), **content})
    return _named(obj, stored["id"], stored["rev"])


def load(
    db: Documents,
    id: str,
    rev: str | None = None,
    prefix: str | None = None,
    *,
    classes: type | Iterable[type] = (),
    trusted: bool = False,
) -> Any:
    """The object that was stored under this id.

    One that this environment stored is made whatever it is. One that came from elsewhere, or was stored without an
    environment, may run any code; so only data and the classes that are named here are made of it.

    Args:
        rev: the revision; the newest by default.
        prefix: the one that it was stored with.
        classes: what the object may consist of, besides data. Their code runs with arguments of whoever stored it.
        trusted: believe the document: whoever wrote it may run anything in this program.

    Raises:
        PouchDBError: what ``get`` raises; 403, the document names what may not be made; 400, it cannot be made.
        MissingExtra: jsonpickle is not installed.
    """
    prefix = _checked(prefix)
    found: Doc = plain(dict(db.get(id) if rev is None else db.get(id, rev=rev)))
    content = {name: value for name, value in found.items() if not name.startswith("_")}
    seal, secret = content.pop(prefix + SEAL, None), _secret_of(db)
    is_own = isinstance(seal, str) and secret is not None and hmac.compare_digest(_seal(secret, id, content), seal)
    pickled = content.get(prefix + VALUE, content) if len(content) == 1 else content
    pickled = _unescaped(pickled, prefix)
    given = [classes] if isinstance(classes, type) else [*classes]
    if not (trusted or is_own):
        _check(pickled, {f"{one.__module__}.{one.__qualname__}" for one in given} | _DATA)
    jsonpickle = _jsonpickle()
    try:
        unpickler = jsonpickle.unpickler.Unpickler(keys=True, on_missing="error")
        obj = unpickler.restore(pickled, reset=True, classes=given)
    except (Exception, jsonpickle.errors.ClassNotFoundError) as exc:
        # The document may hold anything, and classes refuse what they are given in ways of their own. That a class is
        # missing jsonpickle says by what is no Exception.
        reason = f"The object cannot be made: {type(exc).__name__}: {exc}"
        hint = "Is its class still there? Import its module, or give it in `classes`."
        raise from_couchette(BadRequest(reason, hint)) from exc
    return _named(obj, found["_id"], found["_rev"])


def _named(obj: T, doc_id: str, rev: str) -> T:
    # Lists, texts and the like take no attributes; they go without.
    with suppress(AttributeError, TypeError):
        obj.id = doc_id  # type: ignore[attr-defined]
        obj.rev = rev  # type: ignore[attr-defined]
    return obj


# -- Names --------------------------------------------------------------------------------------------


def _checked(prefix: str | None) -> str:
    if prefix is None:
        return PREFIX
    if not prefix or prefix.startswith(("_", "py/")):
        raise from_couchette(BadRequest(f"{prefix!r} cannot be a prefix.", "Begin it with a letter."))
    return prefix


def _escaped(value: Any, prefix: str) -> Any:
    return _renamed(value, lambda name: prefix + name if name.startswith(("_", prefix)) else name)


def _unescaped(value: Any, prefix: str) -> Any:
    prefixed = (f"{prefix}_", prefix + prefix)
    return _renamed(value, lambda name: name.removeprefix(prefix) if name.startswith(prefixed) else name)


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {rename(name): _renamed(member, rename) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(member, rename) for member in value]
    return value


# -- Trust --------------------------------------------------------------------------------------------


def _secret_of(db: Any) -> bytes | None:
    """What the environment of a database signs objects with; None for a database without one."""
    core = getattr(db, "_core", None)
    return None if core is None else stored_secret(core.environment.environment)


def _seal(secret: bytes, doc_id: str, content: Doc) -> str:
    """The mark of an environment on a document, which holds for this content under this id only."""
    text = jsonio.dumps([doc_id, _sorted(content)])
    return hmac.digest(secret, _PURPOSE + text, hashlib.sha256).hex()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(member) for member in value] if isinstance(value, list) else value


def _check(pickled: Any, allowed: set[str]) -> None:
    """Raise Forbidden for a pickle that names code which is not allowed; whatever is not known to be harmless is."""
    left = [pickled]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(value)
        elif isinstance(value, dict):
            for name, member in value.items():
                if name.startswith("py/") and not _is_allowed(name, member, allowed):
                    hint = "Name its class in `classes`, or say `trusted=True` if you trust whoever stored it."
                    raise from_couchette(Forbidden(f"The object is somebody else's and has {name} {member!r}.", hint))
                if name.startswith(_JSON_KEY):
                    left.append(jsonio.loads(name.removeprefix(_JSON_KEY)))
                left.append(member)


def _is_allowed(tag: str, member: Any, allowed: set[str]) -> bool:
    if tag in ("py/object", "py/type"):
        return isinstance(member, str) and member in allowed
    if tag == "py/function":
        return isinstance(member, str) and member in _REBUILDING
    return tag in _HARMLESS_TAGS


def _jsonpickle() -> Any:
    try:
        import jsonpickle
        import jsonpickle.errors
        import jsonpickle.pickler
        import jsonpickle.unpickler
    except ImportError as exc:
        raise MissingExtra("Object storage needs jsonpickle.", "Run `pip install 'couchette[objectstorage]'`.") from exc
    return jsonpickle
