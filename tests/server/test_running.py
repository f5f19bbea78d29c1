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

from couchette import Environment, server
from couchette.errors import BadRequest, CouchetteError, Forbidden
from couchette.server import connections, running


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


def test_without_an_administrator_no_other_site_is_served(environment):
    with server.background(environment) as url:
        connection = connect(url)
        connection.request("GET", "/db", headers={"Host": "evil.example"})
        assert connection.getresponse().status == 403
        connection.close()
    policy = server.Policy(admins={"ada": "pw"}, password_iterations=1)
    with server.background(environment, policy=policy) as url:
        connection = connect(url)
        connection.request("GET", "/", headers={"Host": "couch.example"})
        assert connection.getresponse().status == 200
        connection.close()


def test_a_client_that_sends_half_a_request_is_left(environment, monkeypatch):
    monkeypatch.setattr(running, "_LOOK_TICKS", 1)
    monkeypatch.setitem(connections.PATIENCE_S, connections.HEAD, 0)
    with server.background(environment) as url:
        host, port = urlsplit(url).netloc.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as half:
            half.sendall(b"GET / HTTP/1.1\r\nHo")
            assert half.recv(100) == b""


def test_a_server_that_stops_completes_the_feeds_that_wait(environment):
    with server.background(environment) as url:
        connection = connect(url)
        connection.request("GET", "/db/_changes?feed=longpoll")
        response = connection.getresponse()
        begun = response.readline()
    assert json.loads(begun + response.read())["results"] == []
    connection.close()


def test_a_client_that_stalls_does_not_keep_the_server_from_stopping(environment, monkeypatch, caplog):
    monkeypatch.setattr(running, "REQUESTS_GRACE_S", 0)
    environment["db"].bulk_docs([{"text": "x" * 100_000} for _ in range(200)])
    with server.background(environment) as url:
        sends = connect(url)
        sends.putrequest("PUT", "/db/a")
        sends.putheader("Content-Length", "100")
        sends.endheaders(b"{")
        uploads = connect(url)
        uploads.putrequest("PUT", "/db/b/file")
        uploads.putheader("Content-Length", str(9 << 20))
        uploads.endheaders(b"x" * (3 << 20))
        reads = connect(url)
        reads.request("GET", "/db/_all_docs?include_docs=true")
        assert reads.getresponse().status == 200
        other = connect(url)
        assert request(other, "GET", "/")[0] == 200
        other.close()
    for connection in (sends, uploads, reads):
        connection.close()
    assert caplog.text == ""
    assert "b" not in environment["db"]


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


FUNCTIONS = {
    "shows": {"endless": "function() { for (;;) {} }"},
    "views": {"slow": {"map": "function(doc) { var end = Date.now() + 100; while (Date.now() < end); emit(1) }"}},
    "filters": {"slow": "function(doc) { var end = Date.now() + 100; while (Date.now() < end); return true }"},
}


@pytest.mark.slow
@pytest.mark.parametrize("path", ["_design/d/_show/endless", "_design/d/_view/slow", "_changes?filter=d/slow"])
def test_a_function_that_takes_long_does_not_keep_the_server_from_stopping(tmp_path, path):
    with Environment(tmp_path) as env:
        env["db"].bulk_docs([{} for _ in range(300)])
        env["db"]["_design/d"] = dict(FUNCTIONS)
    program = [sys.executable, "-m", "couchette", "serve", str(tmp_path), "--port", "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        connection = connect(process.stdout.readline().split()[0])
        connection.request("GET", f"/db/{path}")
        other = connect(f"http://{connection.host}:{connection.port}")
        assert request(other, "GET", "/db")[0] == 200  # The one before has come, too.
        other.close()
        process.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["reason"]) == (503, "The server is stopping.")
        connection.close()
        _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (0, "")


def test_a_request_may_come_as_a_proxy_sends_it(environment):
    with server.background(environment) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"GET {url}/db HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            with client.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
                assert b'"db_name":"db"' in answer.read()
