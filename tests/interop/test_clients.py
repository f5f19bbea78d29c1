"""Clients that others wrote for CouchDB, at their ordinary work with our server."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiocouch
import couchdb3
import pytest

from couchette import Environment
from couchette.server import background
from tests.interop.conftest import HERE, NODE, with_credentials

pytestmark = pytest.mark.interop

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def url(environment: Environment) -> Iterator[str]:
    with background(environment, "127.0.0.1", 0) as url:
        yield url


def test_couchdb3(url: str):
    # Without a name it would open a session for nobody first.
    with couchdb3.Server(url, auth_method="basic") as server:
        assert server.info()["couchdb"] == "Welcome"
        db = server.create("notes")
        assert "notes" in server
        doc_id, ok, rev = db.save({"_id": "a b ü", "kind": "note", "n": 1})
        assert (doc_id, ok) == ("a b ü", True)
        db.save({"_id": doc_id, "_rev": rev, "kind": "note", "n": 2})
        assert db.get(doc_id)["n"] == 2
        with pytest.raises(couchdb3.exceptions.ConflictError):
            db.save({"_id": doc_id, "_rev": rev, "n": 3})
        db.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(5)])
        assert [row.id for row in db.all_docs().rows] == ["a b ü", "d0", "d1", "d2", "d3", "d4"]
        db.save_index({"fields": ["n"]}, name="by-n")
        assert {doc["_id"] for doc in db.find({"n": {"$gt": 2}})["docs"]} == {"d3", "d4"}
        db.put_design("views", views={"by-n": {"map": "function (doc) { emit(doc.n); }"}})
        assert [row.key for row in db.view("views", "by-n", descending=True, limit=2).rows] == [4, 3]
        db.put_attachment("d0", "p q.bin", content=CONTENT, rev=db.rev("d0"), content_type="application/x-data")
        assert db.get_attachment("d0", "p q.bin").content == CONTENT
        assert db.delete("d1", db.rev("d1"))
        assert "d1" not in db
        assert [row["id"] for row in db.changes(include_docs=False)["results"]][-1] == "d1"
        assert server.delete("notes")


def test_couchdb3_as_an_administrator(administered: str):
    base = with_credentials(administered)
    with couchdb3.Server(administered, user="admin", password="secret") as server:
        assert server.up()
        assert server.membership()["all_nodes"]
        server.save_user("ada", password="lovelace", roles=["reader"])
        assert server.check_user("ada", "lovelace")
        db = server.create("notes")
        db.update_security(admins={"names": [], "roles": []}, members={"names": ["ada"], "roles": []})
        db.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(5)])
        with couchdb3.Server(administered, user="ada", password="lovelace") as hers:
            assert hers.get("notes").get("d1")["n"] == 1
        told = server.replicate(f"{base}/notes", f"{base}/there", create_target=True, doc_ids=["d1", "d2"])
        assert told["ok"]
        assert [row.id for row in server.get("there").all_docs().rows] == ["d1", "d2"]
        assert server.active_tasks() == []
        assert server.dbs_info(["notes"])[0]["info"]["doc_count"] == 5


def test_aiocouch(url: str):
    asyncio.run(use_aiocouch(url))


# It still uses what aiohttp will drop one day.
@pytest.mark.filterwarnings("ignore:.* is deprecated and will be removed in:DeprecationWarning")
def test_aiocouch_opens_a_database_to_a_user(administered: str):
    asyncio.run(open_to_a_user(administered))


async def open_to_a_user(url: str) -> None:
    async with aiocouch.CouchDB(url, user="admin", password="secret") as server:
        users = await server["_users"]
        async with aiocouch.document.Document(users, "org.couchdb.user:ada") as user:
            user.update({"name": "ada", "password": "lovelace", "roles": [], "type": "user"})
        db = await server.create("notes")
        async with await db.security() as security:
            security.add_member("ada")
        async with aiocouch.document.Document(db, "a") as doc:
            doc["n"] = 1
    async with aiocouch.CouchDB(url, user="ada", password="lovelace") as hers:
        await hers.check_credentials()
        assert (await (await hers["notes"])["a"])["n"] == 1
    async with aiocouch.CouchDB(url, user="ada", password="wrong") as stranger:
        with pytest.raises(aiocouch.exception.UnauthorizedError):
            await stranger.check_credentials()


async def use_aiocouch(url: str) -> None:
    async with aiocouch.CouchDB(url) as server:
        db = await server.create("notes")
        async with aiocouch.document.Document(db, "a b/ü") as doc:
            doc["n"] = 1
        doc = await db["a b/ü"]
        doc["n"] = 2
        await doc.save()
        async with db.create_docs([f"d{number}" for number in range(5)]) as docs:
            for number, made in enumerate([doc async for doc in docs]):
                made["n"] = number
        assert [id async for id in db.akeys()] == ["a b/ü", "d0", "d1", "d2", "d3", "d4"]
        assert {found.id async for found in db.find({"n": {"$gt": 2}})} == {"d3", "d4"}
        attachment = (await db["d0"]).attachment("p q.bin")
        await attachment.save(CONTENT, "application/x-data")
        assert await attachment.fetch() == CONTENT
        gone = await db["d1"]
        await gone.delete()
        assert [event.id async for event in db.changes()][-1] == "d1"
        await db.delete()
        assert await server.keys() == []


def test_nano(administered: str, node_modules: Path):
    command = [*NODE, str(HERE / "nano.js"), with_credentials(administered)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == {
        "list": ["a b/ü", "d0", "d1", "d2", "d3", "d4"],
        "conflict": 409,
        "n": 2,
        "found": ["d3", "d4"],
        "rows": [4, 3],
        "attachment": True,
        "changes": "d1",
        "followed": "later",
        "shut": 401,
        "session": "ada",
        "open": 8,
        "replicated": True,
        "databases": ["_users"],
    }
