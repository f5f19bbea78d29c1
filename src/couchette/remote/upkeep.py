"""A database on a server as a whole: its numbers, its settings, its upkeep and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from couchette.remote.calls import Doc, RemoteCalls


class RemoteUpkeep(RemoteCalls):
    """What is done with the whole database; most of it needs an administrator."""

    async def info(self) -> Doc:
        """Counts, sequences and sizes: the server's answer to ``GET /db``. Raises DatabaseNotFound."""
        return await self._object("GET")

    async def create(self) -> None:
        """Make the database unless it is there. Raises Unauthorized, Forbidden, IllegalDatabaseName."""
        self._to_create = False
        await self._make(await self._opened())

    async def ensure_full_commit(self) -> Doc:
        """Wait until the server's disk has all that was committed; return ``{"ok", "instance_start_time"}``."""
        answer: Doc = await self._write("POST", "_ensure_full_commit")
        return answer

    async def get_revs_limit(self) -> int:
        """How many revisions are kept on each leaf's path."""
        limit: int = await self._read("GET", "_revs_limit")
        return limit

    async def set_revs_limit(self, revs_limit: int) -> None:
        """Have the server keep so many revisions on each leaf's path. Raises BadRequest."""
        await self._write("PUT", "_revs_limit", body=revs_limit)

    async def get_security(self) -> Doc | None:
        """The ``_security`` object, which says who may use the database."""
        return await self._object("GET", "_security")

    async def set_security(self, security: Mapping[str, Any]) -> None:
        """Replace the ``_security`` object. Raises BadRequest, Unauthorized."""
        await self._write("PUT", "_security", body=security)

    async def compact(self) -> Doc:
        """Have the server drop what is not needed any more; return ``{"ok": True}`` at once, while it does so."""
        answer: Doc = await self._write("POST", "_compact")
        return answer

    async def purge(self, revs: Mapping[str, Sequence[str]]) -> Doc:
        """Forget leaves, ``{id: [rev, ...]}``; see :meth:`Database.purge <couchette.Database.purge>`."""
        answer: Doc = await self._write("POST", "_purge", body=revs)
        return answer

    async def purged_infos(self) -> list[Doc]:
        """What was purged, oldest first: ``[{"id", "revs"}]``."""
        infos: list[Doc] = (await self._object("GET", "_purged_infos"))["purged_infos"]
        return infos

    async def get_purged_infos_limit(self) -> int:
        """How many purges the server remembers."""
        limit: int = await self._read("GET", "_purged_infos_limit")
        return limit

    async def set_purged_infos_limit(self, limit: int) -> None:
        """Have the server remember so many purges. Raises BadRequest."""
        await self._write("PUT", "_purged_infos_limit", body=limit)

    async def destroy(self) -> None:
        """Delete the database on the server, and close this object. Raises DatabaseNotFound."""
        await self._write("DELETE")
        await self.close()
