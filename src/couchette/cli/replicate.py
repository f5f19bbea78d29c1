"""``couchette replicate``: one replication, told by a bar or by lines, and by an exit code."""

from __future__ import annotations

import os
import sys
import time
from urllib.parse import urlsplit

import couchette
from couchette.cli.screen import Screen, count, pace
from couchette.cli.usage import UsageError
from couchette.replication import ReplicationResult

REFUSED = 3

Auth = tuple[str, str]


def run_replicate(
    screen: Screen,
    source: str,
    target: str,
    *,
    create_target: bool,
    batch_docs: int,
    user: str | None,
    password_env: str,
) -> int:
    """Replicate, print a summary, list what was refused; return 0, or 3 if something was."""
    source_auth, target_auth = _credentials(source, target, user, password_env)
    started = time.perf_counter()
    with screen.progress("Replicating") as meter:
        result = couchette.replicate(
            source,
            target,
            create_target=create_target,
            batch_docs=batch_docs,
            progress=meter.report,
            source_auth=source_auth,
            target_auth=target_auth,
        )
    screen.say(_summary(result, time.perf_counter() - started))
    for error in result.errors:
        print(f"refused: {error['id']} {error['rev']}: {error['error']}, {error['reason']}", file=sys.stderr)
    return 0 if result.ok else REFUSED


def _summary(result: ReplicationResult, seconds: float) -> str:
    """One line for what came of it."""
    if result.errors:
        refused = f" {count(len(result.errors), 'document')} refused by the target."
        return f"Replicated {result.source} to {result.target}, in part: {pace(result.docs_written, seconds)}.{refused}"
    if result.docs_written:
        return f"Replicated {result.source} to {result.target}: {pace(result.docs_written, seconds)}."
    checked = "no changes since the last time"
    if result.missing_checked:
        checked = f"{count(result.missing_checked, 'revision')} compared"
    return f"{result.target} has everything that {result.source} has: {checked}."


def _credentials(source: str, target: str, user: str | None, password_env: str) -> tuple[Auth | None, Auth | None]:
    """Whom ``--user`` is for: the one URL without credentials. A password is never sent on a guess."""
    if user is None:
        return None, None
    open_urls = [_is_url_without_user(source), _is_url_without_user(target)]
    if sum(open_urls) != 1:
        problem = "both are URLs without credentials" if all(open_urls) else "there is no URL without credentials"
        raise UsageError(f"--user is for the one URL that has no credentials; here {problem}.")
    password = os.environ.get(password_env)
    if password is None:
        raise UsageError(f"--user needs the password in the environment variable {password_env}, which is not set.")
    auth = (user, password)
    return (auth, None) if open_urls[0] else (None, auth)


def _is_url_without_user(endpoint: str) -> bool:
    return endpoint.startswith(("http://", "https://")) and "@" not in urlsplit(endpoint).netloc
