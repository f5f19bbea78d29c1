"""``couchette verify``: whether a file is sound."""

from __future__ import annotations

from couchette import store
from couchette.cli.files import look_at, read_key
from couchette.cli.screen import Screen, count
from couchette.database_file import verify

UNSOUND = 1


def run_verify(screen: Screen, path: str, key_file: str | None) -> int:
    """Print a line for each problem; return 0 if there is none."""
    with look_at(path, read_key(key_file)) as conn:
        problems = verify(conn)
        found = store.info(conn)
    for problem in problems:
        where = " ".join(problem[name] for name in ("id", "rev") if name in problem)
        print(f"{where}: {problem['problem']}" if where else problem["problem"])
    documents = count(found["doc_count"] + found["doc_del_count"], "document")
    if problems:
        screen.say(f"{path} is damaged: {count(len(problems), 'problem')} in {documents}. Nothing was changed.")
        return UNSOUND
    screen.say(f"{path} is sound: {documents}, deleted ones included, and all attachments were checked.")
    return 0
