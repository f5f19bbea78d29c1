"""``couchette serve``, as a process of its own."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import ssl
import stat
import urllib.error
import urllib.request

import pytest
import trustme

from couchette import Environment, server
from couchette.cli import serve as serving
from couchette.server import running
from couchette.users.admins import Admins

NO_ORIGINS = [
    *("nonsense", "localhost:8080", "https://", "https://a.example/page", "http://a b", "https://*.example", ""),
    *("http://ada@a.example", "http://a.example:port", "https://a.example//", "null"),
]

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url):
    with _direct.open(url) as answer:
        return json.load(answer)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_with_0(start, tmp_path, number):
    folder = tmp_path / "served"
    with Environment(folder) as environment:
        environment["notes"]["a"] = {"text": "ü"}
    process = start("serve", folder, "--port", 0)
    line = process.stdout.readline()
    url = line.split()[0]
    assert line == f"{url} serves {folder} (1 database). Ctrl-C stops it.\n"
    assert "no administrator" in process.stdout.readline()
    assert get(f"{url}/notes/a")["text"] == "ü"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "Stopped; every answer under way was sent.\n", "")


@pytest.mark.slow
def test_what_goes_wrong_is_logged_with_its_time(start, tmp_path):
    process = start("serve", tmp_path / "served", "--port", 0)
    port = int(process.stdout.readline().split()[0].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert b" 400 " in client.makefile("rb").readline()
    process.send_signal(signal.SIGTERM)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING uvicorn\.error: Invalid HTTP request received\.\n",
        process.communicate(timeout=60)[1],
    )


def test_what_it_makes_is_for_its_owner_alone(monkeypatch, tmp_path):
    modes = {}

    def serve(environment, *args, **options):
        environment["notes"]["a"] = {}
        modes.update((path.name, stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.iterdir()))

    monkeypatch.setattr(serving, "serve", serve)
    folder = tmp_path / "above" / "served"
    serving.run_serve(folder, "127.0.0.1", 0, admin=None, password_file=None, key_file=None)
    assert modes.pop("served") == 0o700
    assert modes.pop("uuid") & 0o600 == 0o600  # It is no secret.
    assert modes == dict.fromkeys(["notes.couchette", "notes.couchette-wal", "notes.couchette-shm"], 0o600)


@pytest.mark.parametrize("origin", NO_ORIGINS)
def test_what_is_no_origin_is_refused(run, tmp_path, origin):
    ran = run("serve", tmp_path / "served", "--cors", origin)
    assert ran.code == 2
    assert origin in ran.err


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        (["http://laptop.local:8000/"], ("http://laptop.local:8000",)),
        (["https://a.example:443", "HTTP://a.example:80/"], ("https://a.example", "HTTP://a.example")),
        (["http://[::1]:8080", "capacitor://localhost"], ("http://[::1]:8080", "capacitor://localhost")),
        (["*"], ("*",)),
        ([], None),
    ],
)
def test_an_origin_is_taken_as_browsers_send_it(given, origins):
    shared = serving._shared_with(given)
    assert (shared and shared.origins) == origins


def test_a_busy_port_is_named(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("serve", tmp_path / "served", "--port", port)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"couchette: Cannot listen on 127.0.0.1 port {port}: ")
    assert "Choose another port" in ran.err


def test_an_address_beyond_this_machine_is_refused(run, tmp_path):
    ran = run("serve", tmp_path / "served", "--host", "0.0.0.0")
    assert ran.code == 1
    assert "no administrator" in ran.err


@pytest.mark.slow
def test_with_an_administrator_it_listens_anywhere_and_keeps_the_password_to_itself(start, tmp_path):
    file = tmp_path / "password"
    file.write_text("opensesame\n", encoding="utf-8")
    folder = tmp_path / "served"
    process = start("serve", folder, "--host", "0.0.0.0", "--port", 0, "--admin", "ada", "--password-file", file)
    url = process.stdout.readline().split()[0].replace("0.0.0.0", "127.0.0.1")
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(f"{url}/_all_dbs")
    assert caught.value.code == 401
    caught.value.close()
    credentials = base64.b64encode(b"ada:opensesame").decode()
    request = urllib.request.Request(f"{url}/_all_dbs", headers={"Authorization": f"Basic {credentials}"})
    assert get(request) == ["_users"]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "opensesame" not in out
    assert not [path for path in folder.rglob("*") if b"opensesame" in path.read_bytes()]


def test_an_administrator_without_a_password_is_refused(run, tmp_path):
    ran = run("serve", tmp_path / "served", "--admin", "ada")
    assert (ran.code, ran.out) == (2, "")
    assert "COUCHETTE_ADMIN_PASSWORD" in ran.err


def test_an_empty_password_file_is_refused(run, tmp_path):
    file = tmp_path / "password"
    file.write_text("\n", encoding="utf-8")
    ran = run("serve", tmp_path / "served", "--admin", "ada", "--password-file", file)
    assert (ran.code, ran.out) == (2, "")
    assert "empty" in ran.err


def test_a_folder_that_is_a_file_is_refused(run, notes):
    ran = run("serve", notes)
    assert ran.code == 1
    assert f"{notes} cannot be used. It is a file; " in ran.err


def test_what_it_acknowledged_outlives_a_power_cut(tmp_path, monkeypatch):
    """It waits for the disk: a replicator elsewhere does not send again what it was told is here."""
    waits = []

    def served(environment, *args, **options):
        waits.append(environment["notes"]._pool.write(lambda conn: conn.pragma("synchronous")))

    monkeypatch.setattr(serving, "serve", served)
    serving.run_serve(str(tmp_path), "127.0.0.1", 0, admin=None, password_file=None, key_file=None)
    assert waits == [2]


@pytest.mark.slow
def test_it_serves_https_below_a_prefix_to_pages_of_a_site(start, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    tls = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")
    folder = tmp_path / "served"
    site = "https://app.example"
    process = start(
        "serve", folder, "--port", 0, *tls, "--cors", site, "--prefix", "/couch/", "--set", "cors/max_age=7"
    )
    url = process.stdout.readline().split()[0]
    assert url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(f"{url}/db", method="PUT", headers={"Origin": site})
    with opener.open(request) as answer:
        assert answer.headers["Location"] == f"{url}/couch/db"
        assert answer.headers["Access-Control-Allow-Origin"] == site
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    with opener.open(f"{url}/_node/_local/_config/cors/max_age") as answer:
        assert json.load(answer) == "7"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[1] == ""


def test_all_sites_may_send_no_passwords():
    shared = serving._shared_with(["*"])
    assert shared is not None
    assert shared.credentials is False
    assert serving._shared_with([]) is None


def test_options_that_make_no_sense_are_refused(run, tmp_path):
    folder = tmp_path / "served"
    ran = run("serve", folder, "--tls-key", "key.pem")
    assert (ran.code, "--tls-cert" in ran.err) == (2, True)
    ran = run("serve", folder, "--password-file", "secret")
    assert (ran.code, "--admin" in ran.err) == (2, True)
    ran = run("serve", folder, "--set", "cors/max_age")
    assert (ran.code, "section/key=value" in ran.err) == (2, True)
    ran = run("serve", folder, "--set", "cors/nothing=1")
    assert (ran.code, "cors/origins" in ran.err) == (1, True)
    ran = run("serve", folder, "--tls-cert", tmp_path / "none.pem")
    assert ran.code == 1
    assert "none.pem cannot be used" in ran.err


def test_an_administrator_of_the_folder_opens_other_addresses(tmp_path, monkeypatch):
    asked = []

    def bind(host, port, has_admins):
        asked.append(has_admins)
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_bind", bind)
    with Environment(tmp_path) as environment:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                server.serve(environment, "0.0.0.0", 0)
            Admins(environment, {}, iterations=1).set("eve", "pw")
    assert asked == [False, True]
