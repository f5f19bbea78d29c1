"""``couchette demo``: the whole story with few places, its proof, and that nothing of it stays."""

from __future__ import annotations

import os
import re
import signal

import pytest

import couchette
from couchette import Database
from couchette.cli.demo import ending
from couchette.cli.demo.edits import PLACES_MIN, Plan
from couchette.cli.demo.places import read_places
from couchette.cli.demo.server import ServerProcess
from couchette.errors import CouchetteError

DEADLINE_S = 120
"""After which a demo that should have ended is taken for one that hangs."""


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def server_pids(text):
    return [int(pid) for pid in re.findall(r"(?:Process|process,) (\d+)(?: answers|, serves)", text)]


@pytest.mark.slow
def test_it_tells_the_story_proves_equality_and_leaves_nothing(start, tmp_path):
    process = start("demo", "--places", 300)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err) == (0, "")
    assert "Wrote 300 documents in " in out
    assert "phone  pulled 300 documents in " in out
    assert 'A sync of the phone now fails: "The database cannot be reached."' in out
    assert "1 of 300 documents is in conflict: " in out
    tree = re.search(
        r" common ancestor\n.*\n.*── (3-[0-9a-f]{8})  winner  rating: 5.*\n.*── 2-[0-9a-f]{8}  losing leaf", out
    )
    assert tree is not None
    assert f"chose the same winner, {tree[1]}," in out
    assert re.search(r"── 4-[0-9a-f]{8}  winner  both leaves' fields\n(.*\n)*.*── 3-[0-9a-f]{8}  deleted leaf", out)
    assert "note: Walk along the river at night. Take the train from the airport." in out
    rows = re.findall(r"^   (server|phone|laptop) +(\d+) +(\d+) +([0-9a-f]{16})$", out, re.MULTILINE)
    assert [row[0] for row in rows] == ["server", "phone", "laptop"]
    assert {row[1:3] for row in rows} == {("301", "302")}
    assert len({row[3] for row in rows}) == 1
    assert "Equal: all 301 documents" in out
    assert "Try next" in out
    pids = server_pids(out)
    assert len(pids) == 2
    assert not any(map(is_running, pids))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_cleans_up(start, tmp_path, number, code):
    process = start("demo", "--places", 1000)
    told = ""
    for line in process.stdout:
        told += line
        if "Look at the conflict" in line:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert err == ("couchette: interrupted.\n" if number == signal.SIGINT else "")
    assert "Try next" not in out
    assert len(server_pids(told)) == 2
    assert not any(map(is_running, server_pids(told)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_databases_can_be_kept_and_no_proxy_stands_in_the_way(run, tmp_path, monkeypatch):
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    before = dict(os.environ)
    folder = tmp_path / "deep" / "demo"
    ran = run("demo", "--places", PLACES_MIN, "--keep", folder)
    assert ran.code == 0
    assert "Stopped the server, kept the folder." in ran.out
    assert dict(os.environ) == before
    for path in (folder / "server/places.couchette", folder / "phone.couchette", folder / "laptop.couchette"):
        with Database(path) as database:
            assert len(database) == PLACES_MIN
    assert "is not empty" in run("demo", "--places", PLACES_MIN, "--keep", folder).err
    assert run("demo", "--keep", folder / "server.log").code == 1


@pytest.mark.slow
def test_replicas_that_differ_are_not_called_equal(run, monkeypatch, tmp_path):
    def sync_and_spoil(story):
        story._phone["after the last sync"] = {}

    monkeypatch.setattr("couchette.cli.demo.story.Story.sync_again", sync_and_spoil)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ran = run("demo", "--places", PLACES_MIN)
    assert ran.code == 1
    assert "NOT equal: 2 documents differ, among them after the last sync, city:" in ran.out
    assert "Try next" not in ran.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why(tmp_path):
    (tmp_path / "file").touch()
    with (
        ServerProcess(tmp_path / "file", tmp_path / "log") as server,
        pytest.raises(CouchetteError, match=r"did not start\. .*cannot be used"),
    ):
        server.start()
    assert server.pid is None


def test_every_place_has_an_editor_at_most():
    plan = Plan.of([str(number) for number in range(1000)])
    edited = [plan.contested, plan.agreed, plan.deleted, plan.ticketed, *plan.phone, *plan.laptop]
    assert len(edited) == len(set(edited)) == 504
    few = Plan.of([str(number) for number in range(PLACES_MIN)])
    assert len(few.phone) == len(few.laptop) == 3


@pytest.mark.slow
def test_places_are_the_largest_first_with_names_in_many_scripts():
    places = read_places(50)
    assert len(places) == 50
    populations = [place["population"] for place in places]
    assert populations == sorted(populations, reverse=True)
    assert any("Лондон" in place["names"] for place in places)
    assert all(place["names"] and "" not in place["names"] for place in places)
    assert places == read_places(50)


def test_the_commands_to_try_are_the_user_s_own(monkeypatch, tmp_path):
    script = tmp_path / "a b" / "couchette"
    script.parent.mkdir()
    script.touch(mode=0o755)
    monkeypatch.setattr("sys.argv", [str(script)])
    monkeypatch.setenv("PATH", str(script.parent))
    assert ending.program() == "couchette"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ending.program() == f"'{script}'"
    monkeypatch.chdir(script.parent.parent)
    assert ending.program() == "'a b/couchette'"
    monkeypatch.setattr("sys.argv", [couchette.__file__])
    assert ending.program().endswith("-m couchette")
