"""``couchette browse``, as a process of its own."""

from __future__ import annotations

import http.cookiejar
import signal
import urllib.request
import webbrowser
from queue import Queue

import pytest

from couchette import Environment
from couchette.server.pages import local


@pytest.mark.slow
def test_it_shows_a_file_at_an_address_with_a_key_until_a_signal(start, notes):
    process = start("browse", notes, "--no-open")
    line = process.stdout.readline()
    address = line.split()[0]
    assert line == f"{address} shows {notes}. The address works once. Ctrl-C stops it.\n"
    assert "/_utils/?key=" in address
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    with urllib.request.build_opener(urllib.request.ProxyHandler({}), jar).open(address) as answer:
        assert "b/ü" in answer.read().decode()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "Stopped.\n", "")


def test_a_file_that_is_not_there_is_named(run, tmp_path):
    ran = run("browse", tmp_path / "none.couchette")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no file or folder" in ran.err


@pytest.mark.parametrize(("options", "opened"), [((), True), (("--no-open",), False)])
def test_the_web_browser_is_opened_unless_it_should_not(run, notes, monkeypatch, options, opened):
    address, seen = "http://127.0.0.1:1/_utils/?key=k", Queue()
    monkeypatch.setattr(webbrowser, "open", seen.put)
    monkeypatch.setattr(local, "serve_locally", lambda environment, port, on_started: on_started(address))
    ran = run("browse", notes, *options)
    assert (ran.code, ran.err) == (0, "")
    assert seen.get(timeout=10) == address if opened else seen.empty()


def test_a_folder_is_shown_with_all_its_databases(run, tmp_path, monkeypatch):
    with Environment(tmp_path / "folder") as environment:
        environment.create("a")
        environment.create("b")
    names = []
    monkeypatch.setattr(local, "serve_locally", lambda environment, port, on_started: names.extend(environment))
    assert run("browse", tmp_path / "folder", "--no-open").code == 0
    assert names == ["a", "b"]
