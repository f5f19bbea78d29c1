"""Restoring a dump to a file: :func:`load`, the counterpart of :meth:`couchette.Database.dump`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from uuid import uuid4

from couchette import store
from couchette.errors import DatabaseExists, StoreError
from couchette.limits import LOAD_LINES
from couchette.pool import Pool


def load(
    dump: Iterable[bytes],
    path: str | os.PathLike[str],
    *,
    progress: Callable[[int], None] | None = None,
    key: str | bytes | None = None,
) -> dict[str, int]:
    """Restore a dump to a new file; return the counts of ``documents``, ``revisions``, ``attachments`` and ``local``.

    ``dump`` is a binary file that :meth:`couchette.Database.dump` wrote, or any iterable of its lines. The
    file appears when all of it is there and was checked; until then nothing stands at ``path``. It has the
    uuid, the sequences and the checkpoints of the original: peers replicate with it as they did with that.
    So the original must not go on being used beside it; to have both, replicate to a new database instead.

    Args:
        progress: called with the number of documents restored, now and then.
        key: what to encrypt the file with; see :class:`couchette.Database`. The dump itself is in clear.

    Raises:
        DatabaseExists: there is a file at ``path``, or the log of one that was moved away without it.
        StoreError: the dump is damaged, cut off or of a newer version; or the file cannot be written.
    """
    checked = None if key is None else store.check_key(key)
    target = Path(path)
    if target.exists():
        raise DatabaseExists(f"{target} exists already.", "A dump is loaded into a new file; name one, or move this.")
    for log in (Path(f"{target}-wal"), Path(f"{target}-journal")):
        if log.exists():
            # Who opened the new file next would have SQLite write the old pages over it.
            raise DatabaseExists(
                f"{log} is there, the log of a database that was not closed.", "Move it to where its database is now."
            )
    partial = target.with_name(f".{target.name}.{uuid4().hex[:8]}.loading")
    try:
        counts = _restore(iter(dump), partial, progress, checked)
        if target.exists():
            raise DatabaseExists(f"{target} was made meanwhile.", "Load the dump into another file.")
        partial.rename(target)
    except OSError as exc:
        raise StoreError(f"The dump cannot be loaded to {target}.", f"{exc}.") from exc
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{partial}{suffix}").unlink(missing_ok=True)
    return counts


def _restore(
    lines: Iterator[bytes], path: Path, progress: Callable[[int], None] | None, key: bytes | None
) -> dict[str, int]:
    loader = store.Loader()
    pool = Pool(path, key=key)
    try:
        taken = -1
        while loader.lines > taken:
            taken = loader.lines
            pool.write(loader.add, islice(lines, LOAD_LINES))
            if progress is not None:
                progress(loader.counts["documents"])
        return pool.write(loader.finish)
    finally:
        pool.close()
