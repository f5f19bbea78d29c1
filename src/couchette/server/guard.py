"""What a user of the server may write: the judge that every write of a document passes on its way to the store.

Design documents are for administrators, the documents of ``_users`` have rules and their passwords are derived, ids of
a partitioned database name their partition; then come the program's function and those of the design documents
(:mod:`couchette.design.judging`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from couchette.design.judging import Judge, is_special
from couchette.document.docid import DESIGN, check_id
from couchette.document.partition import check_partitioned_id
from couchette.errors import CouchetteError
from couchette.jobs import documents
from couchette.server import security
from couchette.store import Edit
from couchette.users import User, rules
from couchette.wire.names import REPLICATOR, USERS


@dataclass(frozen=True, kw_only=True)
class UserJudge(Judge):
    """What a user may write to a database.

    Attributes:
        iterations: for the passwords of new users.
        partitioned: whether ids must be those of a partitioned database.
    """

    database: str
    user: User
    iterations: int
    partitioned: bool = False

    def prepared(self, doc: Any) -> Any:
        """The document as it is to be stored, with a user's password derived."""
        if not isinstance(doc, Mapping):
            return doc
        if self.database == USERS and not is_special(doc) and doc.get("_deleted") is not True:
            return rules.prepare(doc, iterations=self.iterations)
        return doc

    def check_ids(self, ids: Iterable[Any]) -> None:
        """Raise BadRequest for an id that the database cannot hold; what is no id is left to the store to refuse."""
        if self.partitioned:
            for doc_id in ids:
                if isinstance(doc_id, str):
                    check_partitioned_id(check_id(doc_id))

    def _has_rules(self) -> bool:
        return self.database in (USERS, REPLICATOR) or super()._has_rules()

    def _refusal(self, doc: Any) -> CouchetteError | None:
        is_design = isinstance(doc, Mapping) and str(doc.get("_id")).startswith(DESIGN)
        return security.design_refusal(self.user) if is_design and not self._is_admin else None

    def _edit_refusal(self, edit: Edit) -> CouchetteError | None:
        """The rules of ``_users`` or ``_replicator``, then the program's function."""
        try:
            if self.database == USERS:
                rules.validate(edit.doc, edit.old, self.user, is_admin=self._is_admin)
            elif self.database == REPLICATOR:
                documents.validate(edit.doc)
        except CouchetteError as exc:
            return exc
        return super()._edit_refusal(edit)

    @property
    def _is_admin(self) -> bool:
        """Whether the user administers the database."""
        return security.is_admin(dict(self.security), self.user)
