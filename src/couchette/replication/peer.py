"""What a replication needs of either side: the seam between the replicator and where the data is.

:class:`~couchette.replication.local.LocalPeer` answers from a database of this process,
:class:`~couchette.remote.RemotePeer` over HTTP, a test from a script. Each method may be called again after
it failed: none does harm twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from couchette.wire.checkpoint import Seq
from couchette.wire.selection import Selection
from couchette.wire.transfer import ChangesPage, Document, Fetched, PeerInfo, Refusal, UnreadChanges, Wanted


@runtime_checkable
class Peer(Protocol):
    """One side of a replication. An asynchronous context manager, which may be entered again inside itself."""

    label: str
    """How progress and results name it: never with credentials."""

    async def __aenter__(self) -> Peer: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def create(self, params: Mapping[str, Any] | None = None) -> None:
        """Create the database unless it exists; ``params`` are what its server is told of it."""

    async def info(self) -> PeerInfo:
        """The database's lasting identity; DatabaseNotFound and the like when it cannot be used."""

    async def commit(self) -> str:
        """Make everything written so far durable; return the database's ``instance_start_time``."""

    async def get_checkpoint(self, doc_id: str) -> Document | None:
        """The ``_local`` document, or the design document, of this id; or None."""

    async def put_checkpoint(self, doc: Document) -> str:
        """Store the ``_local`` document; return its rev. Conflict where ``_rev`` is checked and stale."""

    async def changes(self, since: Seq, limit: int, selection: Selection) -> ChangesPage | UnreadChanges:
        """At most ``limit`` changes after ``since``: those of the selection, with the leaves that it asks for.

        Where it asks for documents too, a source may leave it to us to read the page.
        """

    def live_changes(self, since: Seq, limit: int, selection: Selection) -> AsyncGenerator[ChangesPage, None]:
        """Pages as changes happen, without end; one may be empty when only ``last_seq`` moved.

        Raises Unreachable when the line is cut or silent.
        """

    def fetch(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """The documents at these revisions, or at the leaves that followed, in portions of bounded size.

        Attachments that the target holds, judged by ``ancestors``, are stubs; all others have their data.
        """

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> list[Wanted]:
        """Which of these revisions are missing here, with the leaves that may be their ancestors."""

    async def write(self, docs: Sequence[Document]) -> list[Refusal]:
        """Store documents under their own revisions; return those refused. MissingStub: send all data."""
