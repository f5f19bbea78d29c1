"""``couchette serve``, as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request

import pytest

from couchette import Environment

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
    assert get(f"{url}/notes/a")["text"] == "ü"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "Stopped; every answer under way was sent.\n", "")


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
    assert "no authentication" in ran.err


def test_a_folder_that_is_a_file_is_refused(run, notes):
    ran = run("serve", notes)
    assert ran.code == 1
    assert f"{notes} cannot be used" in ran.err
