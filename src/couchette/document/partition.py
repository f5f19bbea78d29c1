"""Partitions: in a partitioned database each document's id is ``partition:rest``, and design documents have none.

CouchDB keeps the documents of a partition together; in one file the ids do that by themselves, since they are in order.
What is left are the rules of ids and names: https://docs.couchdb.org/en/stable/partitioned-dbs/index.html.
"""

from __future__ import annotations

from couchette.document.docid import DESIGN, LOCAL, check_id
from couchette.errors import BadRequest, IllegalDocId


def check_partitioned_id(doc_id: str) -> None:
    """Raise IllegalDocId, or BadRequest for its partition, unless a partitioned database can hold this legal id."""
    if doc_id.startswith((DESIGN, LOCAL)):
        return
    name, colon, rest = doc_id.partition(":")
    if not colon:
        raise IllegalDocId("Doc id must be of form partition:id", f"Got {doc_id!r}.")
    check_partition(name)
    check_id(rest)


def check_partition(name: str) -> str:
    """Return the name of a partition, or raise BadRequest (``illegal_partition``)."""
    if not name:
        raise _illegal("Partition must not be empty", name)
    if name.startswith("_"):
        raise _illegal("Partition must not start with an underscore", name)
    if ":" in name:
        raise _illegal("Partition must not contain a colon", name)
    return name


def is_in(doc_id: str, partition: str) -> bool:
    """Whether a document belongs to a partition."""
    return doc_id.startswith(f"{partition}:")


def bounds(partition: str) -> tuple[str, str]:
    """The first id that a partition can have, and the first one after it: ids are in the order of their bytes."""
    return f"{partition}:", f"{partition};"


def _illegal(reason: str, name: str) -> BadRequest:
    return BadRequest(reason, f"Got {name!r}; an id is `partition:rest`.", error="illegal_partition")
