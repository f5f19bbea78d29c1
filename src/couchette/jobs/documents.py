"""What a document of ``_replicator`` must be to be written by a client, in the order and the words of CouchDB.

CouchDB keeps these rules in ``_design/_replicator`` of that database; here they hold without it. What they let through
may be no replication all the same: then its job fails, and says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from couchette.errors import Forbidden

Doc = Mapping[str, Any]

_BOOLEANS: Final = ("create_target", "continuous")


def validate(doc: Doc) -> None:
    """Raise Forbidden for a malformed document. A deletion, and one that says that it failed, are nobody's to judge."""
    if doc.get("_deleted") is True or doc.get("_replication_state") == "failed":
        return
    for side in ("source", "target"):
        _check_endpoint(doc.get(side), side)
    for name in _BOOLEANS:
        if name in doc and not isinstance(doc[name], bool):
            raise _refused(f"The `{name}' field must be a boolean.", doc[name])
    if "doc_ids" in doc and not isinstance(doc["doc_ids"], list):
        raise _refused("The `doc_ids' field must be an array of strings.", doc["doc_ids"])
    if "selector" in doc and not isinstance(doc["selector"], dict):
        raise _refused("The `selector' field must be an object.", doc["selector"])
    if "filter" in doc and (not isinstance(doc["filter"], str) or not doc["filter"]):
        raise _refused("The `filter' field must be a non-empty string.", doc["filter"])
    if "doc_ids" in doc and "selector" in doc:
        raise _refused("`doc_ids' field is incompatible with `selector'.", doc["selector"])
    if ("doc_ids" in doc or "selector" in doc) and "filter" in doc:
        raise _refused("`filter' field is incompatible with `selector' and `doc_ids'.", doc["filter"])
    if "query_params" in doc and not isinstance(doc["query_params"], dict):
        raise _refused("The `query_params' field must be an object.", doc["query_params"])
    if doc.get("user_ctx"):
        _check_user(doc["user_ctx"])


def _check_endpoint(endpoint: Any, side: str) -> None:
    if not isinstance(endpoint, str | dict):
        raise _refused(f"The `{side}' property must exist and be either a string or an object.", endpoint)
    if isinstance(endpoint, str):
        return
    if not isinstance(endpoint.get("url"), str) or not endpoint["url"]:
        reason = f"The url property must exist in the `{side}' field and must be a non-empty string."
        raise Forbidden(reason, "Give {'url': 'https://…'}.")
    for member in ("auth", "headers"):
        if member in endpoint and not isinstance(endpoint[member], dict):
            raise Forbidden(f"`{side}.{member}' must be a non-null object.", "Leave it out, or give an object.")


def _check_user(user: Any) -> None:
    if not isinstance(user, dict):
        raise _refused("The `user_ctx' property must be a non-null object.", user)
    name = user.get("name")
    if name is not None and (not isinstance(name, str) or not name):
        raise _refused("The `user_ctx.name' property must be a non-empty string or null.", name)
    if user.get("roles") and not isinstance(user["roles"], list):
        raise _refused("The `user_ctx.roles' property must be an array of strings.", user["roles"])


def _refused(reason: str, value: Any) -> Forbidden:
    return Forbidden(reason, f"It is a JSON {type(value).__name__}.")
