"""The users of an environment, without a server: signing up and logging in."""

from __future__ import annotations

import pytest

from couchette import Environment
from couchette.errors import Conflict, Forbidden, Unauthorized
from couchette.users import ANONYMOUS, EVERYONE_IS_ADMIN, Accounts, User
from couchette.users.secret import stored_secret

ADA = {"_id": "org.couchdb.user:ada", "type": "user", "name": "ada", "roles": [], "password": "pw"}


@pytest.fixture
def environment():
    with Environment(":memory:") as environment:
        yield environment


@pytest.fixture
def accounts(environment):
    return Accounts(environment, {}, iterations=1)


def test_who_signs_up_can_log_in(accounts, environment):
    assert accounts.find("ada") is None
    accounts.sign_up(ADA, by=ANONYMOUS)
    assert "password" not in environment["_users"]["org.couchdb.user:ada"]
    account = accounts.login("ada", "pw", "here")
    assert (account.user, account.stored) == (User("ada"), True)
    with pytest.raises(Unauthorized):
        accounts.login("ada", "other", "here")


def test_signing_up_follows_the_rules_of_users(accounts):
    with pytest.raises(Forbidden, match="Only _admin may set roles"):
        accounts.sign_up({**ADA, "roles": ["editor"]}, by=ANONYMOUS)
    accounts.sign_up({**ADA, "roles": ["editor"]}, by=EVERYONE_IS_ADMIN)
    assert accounts.login("ada", "pw", "here").user.roles == ("editor",)
    with pytest.raises(Conflict):
        accounts.sign_up(ADA, by=ANONYMOUS)


def test_a_password_that_was_derived_with_less_is_derived_anew_at_login(accounts, environment):
    accounts.sign_up(ADA, by=ANONYMOUS)
    stronger = Accounts(environment, {}, iterations=2)
    stronger.login("ada", "pw", "here")
    assert environment["_users"]["org.couchdb.user:ada"]["iterations"] == 2
    assert stronger.login("ada", "pw", "here").members["iterations"] == 2


def test_the_secret_of_a_folder_is_made_once_and_is_its_owners(tmp_path):
    with Environment(tmp_path) as environment, Environment(tmp_path) as again:
        secret = stored_secret(environment)
        assert len(secret) >= 32
        assert stored_secret(again) == secret
        assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
