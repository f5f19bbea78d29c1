"""What a user of the server may write: the judge that every write of a document passes on its way to the store.

Design documents are for administrators, the documents of ``_users`` have rules and their passwords are derived, ids of
a partitioned database name their partition; then come the program's function and those of the design documents
(:mod:`couchette.design.judging`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from couchette.design.judging import Judge, is_special
from couchette.document.attachment import check_size
from couchette.document.docid import DESIGN, LOCAL, check_id
from couchette.document.partition import check_partitioned_id
from couchette.errors import CouchetteError
from couchette.jobs import documents
from couchette.pool import Pool
from couchette.server import security
from couchette.store import Edit
from couchette.users import PREFIX, User, rules
from couchette.wire.names import REPLICATOR, USERS


@dataclass(frozen=True, kw_only=True)
class UserJudge(Judge):
    """What a user may write to a database.

    Attributes:
        iterations: for the passwords of new users.
        partitioned: whether ids must be those of a partitioned database.
        attachment_bytes_max: how large an attachment may be; None for any size.
    """

    database: str
    user: User
    iterations: int
    partitioned: bool = False
    attachment_bytes_max: int | None = None

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

    def check_attachments(self, members: Any) -> None:
        """Raise TooLarge for an attachment beyond the server's setting; one that makes no sense the store refuses."""
        if self.attachment_bytes_max is None or not isinstance(members, Mapping):
            return
        for name, member in members.items():
            if isinstance(member, Mapping) and member.get("stub") is not True:
                check_size(name, member.get("data"), self.attachment_bytes_max)

    def refusals(self, pool: Pool, docs: Sequence[Any], new_edits: bool) -> list[CouchetteError | None]:
        """As every judge's; and nobody replicates into another's account.

        A replicated revision need not build on the one that is stored, so it would be taken for a new user's.
        """
        found = super().refusals(pool, docs, new_edits)
        if self.database != USERS or new_edits or self._is_admin:
            return found
        own = None if self.user.name is None else PREFIX + self.user.name
        return [
            refusal or (None if isinstance(doc, Mapping) and doc.get("_id") == own else rules.not_own(doc))
            for doc, refusal in zip(docs, found, strict=True)
        ]

    def _has_rules(self) -> bool:
        return self.database in (USERS, REPLICATOR) or super()._has_rules()

    def _refusal(self, doc: Any) -> CouchetteError | None:
        if self._is_admin or not isinstance(doc, Mapping):
            return None
        doc_id = str(doc.get("_id"))
        if self.database == USERS and doc_id.startswith(LOCAL):
            return rules.not_own(doc)
        return security.design_refusal(self.user) if doc_id.startswith(DESIGN) else None

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
