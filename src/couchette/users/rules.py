"""The rules of ``_users``: what its documents must be, and whose they are. Pure but for the password.

CouchDB keeps them in ``_design/_auth`` of that database; here they hold without it, and cannot be deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from couchette.errors import Forbidden, NotFound
from couchette.limits import PBKDF2_ITERATIONS
from couchette.users import passwords
from couchette.users.user import PREFIX, User

Doc = dict[str, Any]


def prepare(doc: Mapping[str, Any], *, iterations: int = PBKDF2_ITERATIONS) -> Doc:
    """The document as it is stored: a plain ``password`` is replaced by what is derived from it.

    Takes as long as the iterations. Raises Forbidden for a password that is not text.
    """
    stored = dict(doc)
    password = stored.pop("password", None)
    if password is not None:
        stored.pop("password_sha", None)
        stored.update(passwords.derive(passwords.check_password(password), iterations=iterations))
    return stored


def check_reader(doc_id: str, user: User, *, is_admin: bool) -> None:
    """Raise unless the user may see this document: it is its own, or the user administers the database."""
    if is_admin:
        return
    if doc_id.startswith("_design/"):
        raise Forbidden("Only administrators can view design docs in the users database.", f"{doc_id!r} was asked for.")
    if user.name is None or doc_id != PREFIX + user.name:
        raise NotFound("missing", f"There is no document {doc_id!r} that you may see.")


def validate(doc: Mapping[str, Any], old: Mapping[str, Any] | None, user: User, *, is_admin: bool) -> None:
    """Judge an edit of a user's document, in the order and the words of CouchDB. Raises Forbidden.

    ``is_admin`` says whether the user administers the server or this database.
    """
    if old is not None and old.get("_deleted") is True:
        old = None
    if doc.get("_deleted") is True:
        if not is_admin and (user.name is None or old is None or old.get("name") != user.name):
            raise _refused("Only admins may delete other user docs.", doc)
        return
    _check_shape(doc)
    if old is not None and old.get("name") != doc["name"]:
        raise _refused("Usernames can not be changed.", doc)
    _check_password(doc)
    if not is_admin:
        _check_own(doc, old, user)
    for role in doc["roles"]:
        if role.startswith("_"):
            raise _refused("No system roles (starting with underscore) in users db.", doc)
    if doc["name"].startswith("_"):
        raise _refused("Username may not start with underscore.", doc)
    if ":" in doc["name"]:
        raise _refused("Character `:` is not allowed in usernames.", doc)


def _check_shape(doc: Mapping[str, Any]) -> None:
    if doc.get("type") != "user":
        raise _refused("doc.type must be user", doc)
    if not doc.get("name"):
        raise _refused("doc.name is required", doc)
    if "roles" not in doc:
        raise _refused("doc.roles must exist", doc)
    if not isinstance(doc["roles"], list):
        raise _refused("doc.roles must be an array", doc)
    if not all(isinstance(role, str) for role in doc["roles"]):
        raise _refused("doc.roles can only contain strings", doc)
    if doc.get("_id") != f"{PREFIX}{doc['name']}" or not isinstance(doc["name"], str):
        raise _refused("Doc ID must be of the form org.couchdb.user:name", doc)


def _check_password(doc: Mapping[str, Any]) -> None:
    if doc.get("password_sha") and not doc.get("salt"):
        raise _refused("Users with password_sha must have a salt. See /_utils/script/couch.js for example code.", doc)
    if doc.get("password_scheme") == "pbkdf2":
        if type(doc.get("iterations")) not in (int, float):
            raise _refused("iterations must be a number.", doc)
        if not isinstance(doc.get("derived_key"), str):
            raise _refused("derived_key must be a string.", doc)


def _check_own(doc: Mapping[str, Any], old: Mapping[str, Any] | None, user: User) -> None:
    """Judge what a user does to a document as no administrator: only its own, and never the roles."""
    if old is None:
        if doc["roles"]:
            raise _refused("Only _admin may set roles", doc)
    elif user.name != doc["name"]:
        raise not_own(doc)
    elif sorted(map(str, old.get("roles") or [])) != sorted(doc["roles"]):
        raise _refused("Only _admin may edit roles", doc)


def not_own(doc: Any) -> Forbidden:
    """The error for a write to a document that is another user's, or nobody's."""
    return _refused("You may only update your own user document.", doc if isinstance(doc, Mapping) else {})


def _refused(reason: str, doc: Mapping[str, Any]) -> Forbidden:
    return Forbidden(reason, f"The document is {doc.get('_id')!r}.")
