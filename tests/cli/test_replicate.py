"""``couchette replicate``: what it moves, what it says, and how it ends."""

from __future__ import annotations

import base64
import http.server
import json
import re
import signal
import sqlite3
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

import couchette
from couchette import Database
from couchette.cli import credentials


def ids(path):
    with Database(path) as database:
        return list(database)


def test_a_file_is_copied_to_a_new_file(run, notes, tmp_path):
    ran = run("replicate", notes, tmp_path / "copy.couchette")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Replicated notes.couchette to copy.couchette: 3 documents in ")
    assert ran.out.endswith(" docs/s).\n")
    assert ids(tmp_path / "copy.couchette") == ids(notes) == ["a", "b/ü"]


def test_a_second_time_there_is_nothing_to_do(run, notes, tmp_path):
    copy = tmp_path / "copy.couchette"
    run("replicate", notes, copy)
    assert run("replicate", notes, copy).out == (
        "copy.couchette has everything that notes.couchette has: no changes since the last time.\n"
    )


def test_what_the_target_has_from_elsewhere_is_only_compared(run, notes, tmp_path):
    first, second = tmp_path / "first.couchette", tmp_path / "second.couchette"
    run("replicate", notes, first)
    run("replicate", notes, second)
    assert run("replicate", first, second).out.endswith(": 3 revisions compared.\n")


def test_a_file_travels_to_a_url_and_back(run, notes, environment, served, tmp_path):
    ran = run("replicate", notes, f"{served}/far", "--create-target", "--batch-docs", 1)
    assert (ran.code, ran.err) == (0, "")
    assert list(environment["far"]) == ["a", "b/ü"]
    environment["far"]["from afar"] = {}
    assert run("replicate", f"{served}/far", notes).code == 0
    assert ids(notes) == ["a", "b/ü", "from afar"]


def test_a_url_without_the_database_is_exit_code_1(run, notes, served):
    ran = run("replicate", notes, f"{served}/none")
    assert (ran.code, ran.out) == (1, "")
    assert f"There is no database at {served}/none" in ran.err


def test_an_unreachable_url_is_exit_code_1(run, notes):
    ran = run("replicate", "http://ann:secret@127.0.0.1:1/db", notes)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("couchette: The database cannot be reached. http://127.0.0.1:1/db: ")
    assert "secret" not in ran.err


def test_a_missing_source_makes_nothing(run, tmp_path):
    ran = run("replicate", tmp_path / "none", tmp_path / "copy")
    assert (ran.code, ran.err) == (1, f"couchette: Database does not exist. There is no file {tmp_path / 'none'}.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_scheme_that_is_not_http_is_exit_code_1(run, notes):
    assert "ftp:// is not http:// or https://" in run("replicate", notes, "ftp://host/db").err
    for target in ("localhost:5984", "localhost:5984/db"):
        assert f"{target} lacks its beginning, http://" in run("replicate", notes, target).err


@pytest.mark.parametrize("kind", ["text", "sqlite"])
def test_a_file_that_is_something_else_is_exit_code_1(run, notes, tmp_path, kind):
    other = tmp_path / "other"
    if kind == "text":
        other.write_text("Dear diary,\n" * 1000)
    else:
        conn = sqlite3.connect(other)
        conn.execute("CREATE TABLE t(x)")
        conn.close()
    before = other.read_bytes()
    for source, target in ((notes, other), (other, notes)):
        ran = run("replicate", source, target)
        assert (ran.code, ran.out) == (1, "")
        assert f"{other} is not a couchette database." in ran.err
    assert other.read_bytes() == before


def test_refused_documents_are_listed_and_the_exit_code_is_3(run, notes, environment, served, monkeypatch):
    with Database(notes) as database:
        rev = database.put({"_id": "long", "text": "x" * 1000})["rev"]
    monkeypatch.setattr("couchette.document.body.DOC_BYTES_MAX", 900)
    ran = run("replicate", notes, f"{served}/far", "--create-target")
    assert ran.code == 3
    assert ran.out.startswith(f"Replicated notes.couchette to {served}/far, in part: 3 documents in ")
    assert ran.out.endswith(" 1 document refused by the target.\n")
    assert ran.err.startswith(f"refused: long {rev}: ")
    assert len(ran.err.splitlines()) == 1
    assert list(environment["far"]) == ["a", "b/ü"]


# -- Credentials --------------------------------------------------------------------------------------


@contextmanager
def guarded_server():
    """A server that lets nobody in, and tells who asked."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            body = json.dumps({"error": "unauthorized", "reason": "Name or password is incorrect."}).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            """Keep the test's output clean."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/db", seen
        finally:
            server.shutdown()
            thread.join()


def test_user_and_password_reach_the_url_and_are_not_shown(run, notes, monkeypatch):
    monkeypatch.setenv("SECRET", "p:ä")
    with guarded_server() as (url, seen):
        ran = run("replicate", url, notes, "--user", "ann", "--password-env", "SECRET")
    assert seen == ["Basic " + base64.b64encode("ann:p:ä".encode()).decode()]
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "couchette: Name or password is incorrect. "
        f"The credentials were refused; check user and password (for {url}).\n"
    )


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("http://a/db", "http://b/db", "both are URLs without credentials"),
        ("notes", "copy", "there is no URL without credentials"),
        ("notes", "http://ann:secret@b/db", "there is no URL without credentials"),
        ("notes", "http://b/db", "set the environment variable COUCHETTE_PASSWORD, or name a --password-file"),
    ],
)
def test_a_password_is_never_sent_on_a_guess(run, monkeypatch, source, target, told):
    monkeypatch.delenv("COUCHETTE_PASSWORD", raising=False)
    if "environment" not in told:
        monkeypatch.setenv("COUCHETTE_PASSWORD", "secret")
    ran = run("replicate", source, target, "--user", "bob")
    assert ran.code == 2
    assert told in ran.err
    assert "secret" not in ran.err


def test_a_password_that_is_nowhere_is_asked_for_at_a_terminal(run, notes, monkeypatch):
    monkeypatch.delenv("COUCHETTE_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(credentials, "getpass", lambda prompt: f"typed after {prompt}")
    with guarded_server() as (url, seen):
        run("replicate", notes, url, "--user", "ann")
    assert seen == ["Basic " + base64.b64encode(b"ann:typed after The password of ann: ").decode()]


def test_a_password_comes_from_a_file_and_is_for_one_side(run, notes, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\nanother line\n")
    with guarded_server() as (url, seen):
        ran = run("replicate", notes, url, "--target-user", "ann", "--target-password-file", secret)
    assert (ran.code, seen) == (1, ["Basic " + base64.b64encode(b"ann:s3cret").decode()])
    assert "s3cret" not in ran.err


def test_a_token_takes_the_place_of_a_password(run, notes, monkeypatch):
    monkeypatch.setenv("COUCHETTE_PASSWORD", "t0ken")
    with guarded_server() as (url, seen):
        assert run("replicate", url, notes, "--auth", "bearer").code == 1
    assert seen == ["Bearer t0ken"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--user", "a", "--source-user", "b"], "does not go with --source-user"),
        (["--source-user", "a"], "which the source is not"),
        (["--password-env", "X"], "give --user"),
        (["--user", "a", "--password-file", "/nowhere/x"], "/nowhere/x cannot be read"),
        (["--auth", "bearer", "--user", "a"], "leave out --user"),
        (["--selector", "{"], "--selector is not JSON"),
        (["--selector", "[]"], "--selector must be a JSON object"),
        (["--param", "x"], "name=value"),
    ],
)
def test_options_that_cannot_be_meant_are_exit_code_2(run, monkeypatch, options, told):
    monkeypatch.setenv("COUCHETTE_PASSWORD", "secret")
    ran = run("replicate", "notes", "http://host/db", *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


# -- What travels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "arrived"),
    [
        (["--doc-ids", "a", "c"], ["a"]),
        (["--selector", '{"text": "b/ü"}'], ["b/ü"]),
        (["--since", "now"], []),
        (["--since", "1"], ["b/ü"]),
        (["--filter", "d/named", "--param", "name=b/ü"], ["b/ü"]),
    ],
)
def test_options_choose_what_travels(run, notes, tmp_path, options, arrived):
    with Database(notes) as database:
        source = "function (doc, req) { return doc.text === req.query.name }"
        database["_design/d"] = {"filters": {"named": source}}
    assert run("replicate", notes, tmp_path / "copy.couchette", *options).code == 0
    assert [doc_id for doc_id in ids(tmp_path / "copy.couchette") if doc_id != "_design/d"] == arrived


def test_a_dry_run_lists_what_would_move(run, notes, tmp_path):
    with Database(notes) as database:
        revs = {row["id"]: row["changes"][0]["rev"] for row in database.changes()["results"]}
    Database(tmp_path / "copy.couchette").close()
    ran = run("replicate", notes, tmp_path / "copy.couchette", "--dry-run")
    assert ran.code == 0
    assert sorted(ran.out.splitlines()) == sorted(f"{doc_id} {rev}" for doc_id, rev in revs.items())
    assert ids(tmp_path / "copy.couchette") == []


# -- How it goes on, and ends ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_one_goes_on_until_a_signal_and_ends_with_0(start, notes, environment, served, number):
    far = environment["far"]
    process = start("replicate", notes, f"{served}/far", "--live")
    with far.changes(live=True, since=0, timeout=60) as feed:
        for _ in range(3):
            next(feed)
        with Database(notes) as database:
            database["later"] = {}
        assert next(feed)["id"] == "later"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    # The signal may come before the answer to the last request.
    ended = f"Ended: [34] documents replicated from notes.couchette to {served}/far."
    assert re.fullmatch(ended, out.splitlines()[-1])


def test_a_live_one_that_cannot_go_on_says_why(run, notes, served):
    ran = run("replicate", notes, f"{served}/none", "--live")
    assert (ran.code, ran.out) == (1, "")
    assert "Database does not exist" in ran.err


def test_an_interrupt_tells_what_was_done(run, notes, tmp_path, monkeypatch):
    def interrupted(*args, on_event, **options):
        couchette_replicate(*args, on_event=on_event, **options)
        raise KeyboardInterrupt

    couchette_replicate = couchette.replicate
    monkeypatch.setattr(couchette, "replicate", interrupted)
    ran = run("replicate", notes, tmp_path / "copy.couchette")
    assert (ran.code, ran.err) == (130, "couchette: interrupted.\n")
    assert ran.out == "Interrupted: 3 documents replicated; run it again to continue.\n"
