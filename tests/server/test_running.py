"""The app under uvicorn, on a socket."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from couchette import server
from couchette.errors import BadRequest, CouchetteError, Forbidden
from couchette.server import running


def connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)


def request(connection, method, path, body=None):
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read() or b"null")


def test_a_server_in_the_background_serves_while_its_context_lasts(environment):
    with server.background(environment) as url:
        connection = connect(url)
        assert request(connection, "PUT", "/db/a%2Fb", '{"v":1}')[0] == 201
        assert request(connection, "GET", "/db/a%2Fb")[1]["_id"] == "a/b"
        assert request(connection, "HEAD", "/db/a%2Fb") == (200, None)
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        request(connect(url), "GET", "/")


def test_a_server_that_stops_completes_the_feeds_that_wait(environment):
    with server.background(environment) as url:
        connection = connect(url)
        connection.request("GET", "/db/_changes?feed=longpoll")
        response = connection.getresponse()
        begun = response.readline()
    assert json.loads(begun + response.read())["results"] == []
    connection.close()


def test_a_client_that_stalls_does_not_keep_the_server_from_stopping(environment, monkeypatch, caplog):
    monkeypatch.setattr(running, "SHUTDOWN_GRACE_S", 0)
    with server.background(environment) as url:
        connection = connect(url)
        connection.putrequest("PUT", "/db/a")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"{")
        other = connect(url)
        assert request(other, "GET", "/")[0] == 200
        other.close()
    connection.close()
    assert "timeout graceful shutdown exceeded" in caplog.text


def test_a_request_may_come_in_chunks(environment):
    with server.background(environment) as url:
        connection = connect(url)
        connection.request("PUT", "/db/a", iter([b'{"v"', b":1}"]), encode_chunked=True)
        assert connection.getresponse().status == 201
        connection.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_only_loopback_addresses_are_served_without_authentication(environment, host):
    with pytest.raises((Forbidden, BadRequest)):
        server.serve(environment, host)


def test_a_port_that_is_taken_is_named(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CouchetteError, match=f"port {port}") as caught:
            server.serve(environment, port=port)
    assert caught.value.error == "address_in_use"


def test_a_port_that_cannot_be_is_named(environment):
    with pytest.raises(CouchetteError, match="port 70000"):
        server.serve(environment, port=70000)


def test_answers_are_sent_without_waiting_for_acknowledgements():
    with running._bind("localhost", 0, False) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_lets_the_program_go_on(number):
    program = (
        "import couchette, couchette.server\n"
        "with couchette.Environment(':memory:') as env:\n"
        "    env.create('db')\n"
        "    couchette.server.serve(env, port=0, on_started=lambda url: print(url, flush=True))\n"
        "print('closed')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        connection = connect(process.stdout.readline().strip())
        connection.request("GET", "/db/_changes?feed=longpoll")
        response = connection.getresponse()
        process.send_signal(number)
        assert json.loads(response.read())["results"] == []
        assert process.stdout.read() == "closed\n"
        connection.close()
    assert process.returncode == 0
