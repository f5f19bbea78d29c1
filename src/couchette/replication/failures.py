"""Which failures a live replication outlives."""

from __future__ import annotations

from couchette.errors import (
    DatabaseBusy,
    DatabaseNotFound,
    Forbidden,
    NotCouchDB,
    ReplicationFailed,
    Unauthorized,
    is_passing,
)

DENIED = (Unauthorized, Forbidden)
"""Waiting does not help against these, other credentials or rights do."""


def heals(exc: Exception, *, met_before: bool) -> bool:
    """Whether trying again later may help.

    A database that both sides knew already (``met_before``) may be back soon though something else answers in its
    place now: a proxy whose server restarts, the sign-on page of a network, a server that has just begun.
    """
    if isinstance(exc, NotCouchDB | DatabaseNotFound):
        return met_before
    if isinstance(exc, ReplicationFailed):
        return exc.error == "checkpoint_commit_failure"  # The next session looks at the databases anew.
    return is_passing(exc) or isinstance(exc, DatabaseBusy)
