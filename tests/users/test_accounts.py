"""The users of an environment, without a server: signing up and logging in."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from couchette import Environment
from couchette.errors import Conflict, Forbidden, Unauthorized
from couchette.limits import LOCKOUT_FAILURES
from couchette.users import ANONYMOUS, EVERYONE_IS_ADMIN, Accounts, User, passwords
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


def at_once(accounts, attempts):
    """What each of these attempts, made at once, ended with."""
    barrier = threading.Barrier(len(attempts))

    def attempt(password):
        barrier.wait()
        try:
            return accounts.login("ada", password, "here").user.name
        except (Unauthorized, Forbidden) as exc:
            return type(exc)

    with ThreadPoolExecutor(len(attempts)) as threads:
        return list(threads.map(attempt, attempts))


@pytest.fixture
def derived(monkeypatch):
    """The passwords that were derived, each of which lets other threads go first."""
    passwords_tried = []
    verify = passwords.verify

    def counting(password, members):
        passwords_tried.append(password)
        os.sched_yield()
        return verify(password, members)

    monkeypatch.setattr(passwords, "verify", counting)
    return passwords_tried


def test_wrong_passwords_at_once_are_no_more_than_one_after_the_other(accounts, derived):
    accounts.sign_up(ADA, by=ANONYMOUS)
    ended = at_once(accounts, [f"wrong {number}" for number in range(20)])
    assert len(derived) == LOCKOUT_FAILURES
    assert (ended.count(Unauthorized), ended.count(Forbidden)) == (LOCKOUT_FAILURES, 20 - LOCKOUT_FAILURES)


def test_a_right_password_that_comes_often_at_once_is_derived_once(accounts, derived):
    accounts.sign_up(ADA, by=ANONYMOUS)
    assert at_once(accounts, ["pw"] * 20) == ["ada"] * 20
    assert derived == ["pw"]


def test_the_secret_of_a_folder_is_made_once_and_is_its_owners(tmp_path):
    with Environment(tmp_path) as environment, Environment(tmp_path) as again:
        secret = stored_secret(environment)
        assert len(secret) >= 32
        assert stored_secret(again) == secret
        assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
