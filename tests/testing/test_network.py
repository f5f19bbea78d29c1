"""The simulated network: what each fault does to a request, and what a server's death does."""

from __future__ import annotations

import json

import anyio
import pytest

import couchette
from couchette import limits
from couchette.errors import BadRequest, Unauthorized, Unreachable
from couchette.surroundings import Outgoing
from couchette.testing import ROUGH, Fault, Faults, Kind, network


class Body:
    """A request's body, piece by piece."""

    def __init__(self, *chunks):
        self._chunks = chunks

    async def __aiter__(self):
        for chunk in self._chunks:
            yield chunk


def outgoing(method, path, *chunks):
    headers = [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % sum(map(len, chunks)))]
    return Outgoing(method, f"http://office{path}", headers, Body(*chunks))


async def read_all(answer):
    content = b""
    try:
        while chunk := await answer.read():
            content += chunk
    finally:
        await answer.aclose()
    return content


@pytest.fixture
def net():
    with network(1) as net:
        yield net


@pytest.fixture
def office(net):
    office = net.server("office")
    office["notes"].put({"_id": "first"})
    return office


def ask(net, method, path, *chunks):
    """One request; its status and content."""

    async def main():
        answer = await net.carry(outgoing(method, path, *chunks))
        return answer.status, await read_all(answer)

    return net.run(main)


PUT = ("PUT", "/notes/new", b'{"n"', b":1}")


def test_a_request_reaches_the_app_of_its_host(net, office):
    status, content = ask(net, "GET", "/notes/first")
    assert (status, json.loads(content)["_id"]) == (200, "first")
    assert ask(net, *PUT)[0] == 201
    assert office["notes"]["new"]["n"] == 1
    assert office.requests == ["GET /notes/first", "PUT /notes/new"]


def test_nobody_is_at_an_unknown_address(net):
    with pytest.raises(ConnectionRefusedError):
        ask(net, "GET", "/notes")


def test_a_refused_connection_does_nothing(net, office):
    office.next(Fault(Kind.REFUSED))
    with pytest.raises(ConnectionRefusedError):
        ask(net, *PUT)
    assert "new" not in office["notes"]


def test_a_lost_request_is_silence(net, office):
    async def main():
        with anyio.move_on_after(1e6) as scope:
            await net.carry(outgoing(*PUT))
        assert scope.cancelled_caught

    office.next(Fault(Kind.LOST))
    net.run(main)
    assert "new" not in office["notes"]


def test_a_torn_request_does_nothing(net, office):
    for size in range(8):
        office.next(Fault(Kind.TORN, size=size))
        with pytest.raises(ConnectionResetError):
            ask(net, *PUT)
    assert "new" not in office["notes"]


def test_an_unanswered_request_is_done(net, office):
    office.next(Fault(Kind.UNANSWERED))
    with pytest.raises(ConnectionResetError):
        ask(net, *PUT)
    assert "new" in office["notes"]


def test_a_repeated_request_is_done_twice_and_answered_once(net, office):
    office.next(Fault(Kind.REPEATED))
    assert ask(net, "POST", "/notes", b'{"n":', b"1}")[0] == 201
    assert len(office["notes"]) == 3


def test_a_cut_answer_ends_in_the_middle(net, office):
    whole = ask(net, "GET", "/notes/first")[1]

    async def main():
        answer = await net.carry(outgoing("GET", "/notes/first"))
        content = await answer.read()
        with pytest.raises(ConnectionResetError):
            await answer.read()
        return content

    office.next(Fault(Kind.CUT, size=7))
    assert net.run(main) == whole[:7]


def test_a_delayed_request_takes_virtual_time(net, office):
    office.next(Fault(Kind.DELAYED, seconds=86_400))
    assert ask(net, "GET", "/notes/first")[0] == 200
    assert net.clocks.elapsed_s > 86_400


def test_an_error_is_answered_in_the_server_s_place(net, office):
    async def main():
        answer = await net.carry(outgoing(*PUT))
        return answer.status, dict(answer.headers).get(b"retry-after"), json.loads(await read_all(answer))

    office.refuse(429, times=2, retry_after_s=7)
    assert net.run(main) == net.run(main)
    office.refuse(503)
    status, retry_after, body = net.run(main)
    assert (status, retry_after) == (503, None)
    assert {"error", "reason"} <= body.keys()
    assert "new" not in office["notes"]


def test_a_body_over_the_bound_is_too_large(net, office):
    office.body_bytes_max = 6
    assert ask(net, *PUT)[0] == 413
    office.body_bytes_max = 7
    assert ask(net, *PUT)[0] == 201


def test_none_in_a_script_is_no_fault(net, office):
    office.next(None, Fault(Kind.REFUSED))
    assert ask(net, *PUT)[0] == 201
    with pytest.raises(ConnectionRefusedError):
        ask(net, *PUT)


def test_an_answer_is_read_while_it_is_made(net, office):
    """And whoever hangs up leaves no feed behind."""

    async def main():
        answer = await net.carry(outgoing("GET", "/notes/_changes?feed=continuous&heartbeat=1000&since=now"))
        office["notes"].put({"_id": "second"})
        content = b""
        while b"second" not in content:
            content += await answer.read()
        await answer.aclose()
        await anyio.sleep(2)
        assert not office._exchanges

    net.run(main)


def test_a_server_that_dies_breaks_its_connections(net, office):
    async def main():
        answer = await net.carry(outgoing("GET", "/notes/_changes?feed=continuous&heartbeat=1000"))
        assert b"first" in await answer.read()
        office.stop()
        with pytest.raises(ConnectionResetError):
            await read_all(answer)
        with pytest.raises(ConnectionRefusedError):
            await net.carry(outgoing("GET", "/notes"))

    net.run(main)
    with pytest.raises(Unreachable, match="stopped"):
        office["notes"]
    assert not office.running


def test_a_server_without_a_folder_forgets(net, office):
    office.restart()
    assert ask(net, "GET", "/notes")[0] == 404


def test_a_server_with_a_folder_remembers(net, tmp_path):
    office = net.server("office", folder=tmp_path)
    office["notes"].put({"_id": "kept"})
    office.restart()
    assert "kept" in office["notes"]


def test_an_app_that_fails_breaks_the_connection(net, office, caplog):
    async def app(scope, receive, send):
        raise ValueError("a fault of the app")

    office._app = app
    with pytest.raises(ConnectionResetError):
        ask(net, "GET", "/notes")
    assert "a fault of the app" in caplog.text


def test_an_app_may_answer_before_it_has_read_everything(net, office):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"early"})

    office._app = app
    assert ask(net, *PUT) == (200, b"early")


def test_two_servers_of_one_name_are_refused(net, office):
    with pytest.raises(BadRequest, match="office"):
        net.server("office")


def test_faults_cannot_be_more_than_all_requests():
    with pytest.raises(BadRequest, match="1.2"):
        Faults(lost=0.6, answers={503: 0.6})


# -- Replication over it -------------------------------------------------------------------------------


def test_a_synchronous_program_syncs_in_virtual_time(net, office):
    office.next(Fault(Kind.LOST), Fault(Kind.UNANSWERED), Fault(Kind.CUT, size=3))
    with couchette.Database(":memory:") as phone:
        phone.put({"_id": "milk"})
        assert phone.sync("http://office/notes").push.ok
        assert sorted(phone) == sorted(office["notes"]) == ["first", "milk"]
    assert net.clocks.elapsed_s > limits.HTTP_TIMEOUT_S


def test_an_asynchronous_program_syncs_in_virtual_time(net, office):
    async def main():
        async with couchette.AsyncDatabase(":memory:") as phone:
            await phone.put({"_id": "milk"})
            office.refuse(503, times=2)
            await phone.sync("http://office/notes")

    net.run(main)
    assert "milk" in office["notes"]


def test_an_error_that_stays_is_raised(net, office):
    office.faults = Faults(answers={401: 1})
    with couchette.Database(":memory:") as phone, pytest.raises(Unauthorized):
        phone.sync("http://office/notes")


def test_the_same_seed_gives_the_same_events():
    def events(seed):
        with network(seed) as net, couchette.Database(":memory:") as phone:
            office = net.server("office", faults=ROUGH)
            office["notes"].bulk_docs([{"_id": f"{number}"} for number in range(20)])
            try:
                phone.replicate_from("http://office/notes", batch_docs=2)
            except couchette.CouchetteError as exc:
                net.note(str(exc))
            return net.log, phone.info()

    assert events(5) == events(5)
    assert events(5)[0] != events(6)[0]


def test_everything_is_as_before_after_the_block(tmp_path):
    with network(1):
        pass
    with couchette.Database(":memory:") as phone, pytest.raises(Unreachable):
        phone.sync("http://127.0.0.1:9/notes")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_it_needs_trio(net):
    with pytest.raises(BadRequest, match="trio"):
        await net.carry(outgoing("GET", "/notes"))
