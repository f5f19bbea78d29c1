"""The rules of ``_users``."""

from __future__ import annotations

import pytest

from couchette.errors import Forbidden, NotFound
from couchette.users import ANONYMOUS, EVERYONE_IS_ADMIN, User, rules

ADA = User("ada", ("r",))
OWN = "org.couchdb.user:ada"
DOC = {"_id": "org.couchdb.user:ada", "name": "ada", "type": "user", "roles": ["r"]}


def refusal(doc, old=None, user=ADA, is_admin=False):
    with pytest.raises(Forbidden) as caught:
        rules.validate(doc, old, user, is_admin=is_admin)
    return caught.value.reason


def test_a_password_is_replaced_by_what_is_derived_from_it():
    stored = rules.prepare({**DOC, "password": "pw", "password_sha": "old"}, iterations=1)
    assert stored.keys() == {
        *("_id", "name", "type", "roles"),
        *("password_scheme", "pbkdf2_prf", "salt", "iterations", "derived_key"),
    }
    assert rules.prepare(DOC) == rules.prepare({**DOC, "password": None}) == DOC


def test_owners_may_change_their_document_but_not_their_roles():
    rules.validate({**DOC, "mail": "a@b"}, DOC, ADA, is_admin=False)
    assert refusal({**DOC, "roles": ["r", "s"]}, DOC) == "Only _admin may edit roles"
    assert refusal({**DOC, "roles": ["r"]}) == "Only _admin may set roles"
    assert refusal(DOC, DOC, User("eve")) == "You may only update your own user document."
    rules.validate({**DOC, "roles": ["r", "s"]}, DOC, EVERYONE_IS_ADMIN, is_admin=True)


def test_owners_and_administrators_may_delete():
    gone = {"_id": DOC["_id"], "_deleted": True}
    rules.validate(gone, DOC, ADA, is_admin=False)
    rules.validate(gone, DOC, ANONYMOUS, is_admin=True)
    for user in (User("eve"), ANONYMOUS):
        assert refusal(gone, DOC, user) == "Only admins may delete other user docs."
    assert refusal(gone, {"_id": DOC["_id"]}, ANONYMOUS) == "Only admins may delete other user docs."


def test_a_user_that_was_deleted_may_come_back_without_roles():
    rules.validate({**DOC, "roles": []}, {**DOC, "_deleted": True}, ANONYMOUS, is_admin=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "x"}, "doc.type must be user"),
        ({"name": ""}, "doc.name is required"),
        ({"name": 5}, "Doc ID must be of the form org.couchdb.user:name"),
        ({"roles": None}, "doc.roles must be an array"),
        ({"roles": [1]}, "doc.roles can only contain strings"),
        ({"roles": ["_admin"]}, "No system roles (starting with underscore) in users db."),
        ({"name": "_x", "_id": "org.couchdb.user:_x"}, "Username may not start with underscore."),
        ({"name": "a:b", "_id": "org.couchdb.user:a:b"}, "Character `:` is not allowed in usernames."),
        ({"password_scheme": "pbkdf2"}, "iterations must be a number."),
        ({"password_scheme": "pbkdf2", "iterations": 1}, "derived_key must be a string."),
    ],
)
def test_not_even_an_administrator_writes_what_is_no_user(change, reason):
    assert refusal({**DOC, **change}, user=EVERYONE_IS_ADMIN, is_admin=True) == reason


def test_a_name_cannot_be_changed():
    other = {**DOC, "name": "eve"}
    assert refusal(DOC, other, EVERYONE_IS_ADMIN, True) == "Usernames can not be changed."


def test_a_user_sees_its_own_document_only():
    rules.check_reader(OWN, ADA, is_admin=False)
    for doc_id, user in (("org.couchdb.user:eve", ADA), (OWN, ANONYMOUS), ("org.couchdb.user:None", ANONYMOUS)):
        with pytest.raises(NotFound):
            rules.check_reader(doc_id, user, is_admin=False)
        rules.check_reader(doc_id, user, is_admin=True)
    with pytest.raises(Forbidden):
        rules.check_reader("_design/x", ADA, is_admin=False)
