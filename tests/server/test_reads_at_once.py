"""A document is read in the thread of the event loop, unless that would keep the others waiting."""

from __future__ import annotations

import base64
import threading

import pytest

from couchette import Environment
from couchette.at_once import AtOnce
from couchette.limits import AT_ONCE_REST, AT_ONCE_S
from couchette.server import create_app
from couchette.server.policy import Policy
from couchette.users import passwords
from tests.server.asgi import call
from tests.test_at_once import Clock

pytestmark = pytest.mark.anyio
NOBODY_ELSE = {"admins": {"names": [], "roles": []}, "members": {"names": ["ann"], "roles": []}}


@pytest.fixture
def environment(tmp_path):
    with Environment(tmp_path / "dbs") as environment:
        environment.create("db")["a"] = {"n": 1}
        yield environment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def app(environment, clock):
    return timed(create_app(environment), clock)


def timed(app, clock):
    """The app, for which reads take as long as this clock says: no time, unless a test moves it."""
    app._at_once = AtOnce(clock)
    return app


@pytest.fixture
def threads(monkeypatch):
    """The names of the threads that answered."""
    from couchette.server import app

    seen, answer = [], app._answer

    def noting(request):
        answered = answer(request)
        seen.append(threading.current_thread())
        return answered

    monkeypatch.setattr(app, "_answer", noting)
    return seen


async def test_a_document_is_read_in_the_loops_own_thread(app, threads):
    for method in ("GET", "HEAD", "GET"):
        answer = await call(app, method, "/db/a")
        assert (answer.status, answer.headers["etag"][:3]) == (200, '"1-')
    assert (await call(app, "GET", "/db/none")).json()["error"] == "not_found"
    assert {thread is threading.current_thread() for thread in threads[1:]} == {True}


async def test_whatever_else_is_asked_is_answered_by_another_thread(app, threads):
    await call(app, "GET", "/db/a")
    threads.clear()
    for method, target in (
        ("GET", "/db/a?revs_info=true"),
        ("GET", "/db/%5Fdesign%2Fd"),
        ("GET", "/db/_design/d/_view/v"),
        ("GET", "/db/_all_docs"),
        ("GET", "/db/_local/a"),
        ("GET", "/_up"),
        ("GET", "/_utils/"),
        ("PUT", "/db/b"),
        ("DELETE", "/db/a"),
    ):
        await call(app, method, target, {"content-type": "application/json"}, b"{}" if method == "PUT" else b"")
    assert len(threads) == 9
    assert threading.current_thread() not in threads


VIEWS = {"all": {"map": "function (doc) { emit(doc.n); }"}, "sum": {"map": "function (doc) { emit(1, doc.n); }"}}
VIEWS["sum"]["reduce"] = "_sum"


async def test_a_few_rows_of_a_view_are_read_so_too_once_its_index_has_followed(app, environment, threads):
    db = environment["db"]
    db.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(3000)])
    db["_design/d"] = {"views": VIEWS}
    view = "/db/_design/d/_view/all?startkey=200&limit=3"
    own = threading.current_thread()
    rows = [await call(app, "GET", view) for _ in range(3)]
    assert [row["key"] for row in rows[0].json()["rows"]] == [200, 201, 202]
    assert rows[0].json()["offset"] == 201
    assert rows[0].body == rows[1].body == rows[2].body
    # The first one builds the index, and counts the rows before.
    assert [thread is own for thread in threads] == [False, True, True]
    for start, is_near in ((900, True), (2900, False), (2900, True), (1500, True)):
        answer = await call(app, "GET", f"/db/_design/d/_view/all?startkey={start}&limit=1")
        assert answer.json()["offset"] == start + 1
        assert (threads[-1] is own) == is_near
    db["d0"] = {"n": 200.5}
    assert [row["key"] for row in (await call(app, "GET", view)).json()["rows"]] == [200, 200.5, 201]
    assert threads[-1] is not own


async def test_what_may_be_many_rows_or_needs_functions_is_left_to_another_thread(app, environment, threads):
    db = environment["db"]
    db["_design/d"] = {"views": VIEWS}
    await call(app, "GET", "/db/_design/d/_view/all?limit=1")
    await call(app, "GET", "/db/_design/d/_view/sum?limit=1")
    threads.clear()
    for query in ("", "limit=201", "limit=x", "limit=1&skip=1000", "limit=1&keys=[1]", "limit=1&include_docs=true"):
        await call(app, "GET", f"/db/_design/d/_view/all?{query}")
    answer = await call(app, "GET", "/db/_design/d/_view/sum?limit=1")
    assert answer.json() == {"rows": [{"key": None, "value": 1}]}
    assert len(threads) == 7
    assert threading.current_thread() not in threads


async def test_it_is_answered_all_the_same_while_another_holds_what_it_needs(app, environment, threads):
    await call(app, "GET", "/db/a")
    threads.clear()
    held, tried = threading.Event(), threading.Event()

    def hold():
        with environment._lock:
            held.set()
            tried.wait(10)

    call_at_once = app._at_once.call

    def noting(function):
        try:
            return call_at_once(function)
        finally:
            tried.set()

    app._at_once.call = noting
    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    answer = await call(app, "GET", "/db/a")
    other.join()
    assert answer.json()["n"] == 1
    assert threading.current_thread() not in threads


async def test_slow_reads_are_left_to_another_thread(app, clock, threads, monkeypatch):
    await call(app, "GET", "/db/a")
    threads.clear()
    pool = app.environment["db"]._pool
    read = pool.read_one

    def slowly(*arguments):
        clock.now += 100 * AT_ONCE_S
        return read(*arguments)

    monkeypatch.setattr(pool, "read_one", slowly)
    for _ in range(5):
        assert (await call(app, "GET", "/db/a")).status == 200
    clock.now += 100 * AT_ONCE_S * AT_ONCE_REST
    await call(app, "GET", "/db/a")
    own = threading.current_thread()
    assert [thread is own for thread in threads] == [True, False, False, False, False, True]


async def test_a_program_s_own_rules_may_take_their_time(environment, clock, threads):
    policy = Policy(may_read_document=lambda user, name, doc: doc["_id"] != "a")
    app = timed(create_app(environment, policy), clock)
    assert (await call(app, "GET", "/db/a")).status == 404
    assert (await call(app, "GET", "/db/a")).status == 404
    assert threading.current_thread() not in threads


async def test_who_asks_is_found_out_at_once_as_well_but_no_password_is_derived(
    environment, clock, threads, monkeypatch
):
    policy = Policy(admins={"ann": "secret"}, password_iterations=1)
    app = timed(create_app(environment, policy), clock)
    environment["db"].set_security(NOBODY_ELSE)
    derived, verify = [], passwords.verify

    def noting(*arguments):
        derived.append(threading.current_thread())
        return verify(*arguments)

    monkeypatch.setattr(passwords, "verify", noting)
    ann = {"authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}
    for _ in range(3):
        assert (await call(app, "GET", "/db/a", ann)).status == 200
    assert (await call(app, "GET", "/db/a")).status == 401
    assert threading.current_thread() in threads
    app.gate.authentication.accounts._verified.clear()
    threads.clear()
    assert (await call(app, "GET", "/db/a", ann)).status == 200
    own = threading.current_thread()
    assert own not in threads
    assert len(derived) == 2
    assert own not in derived
