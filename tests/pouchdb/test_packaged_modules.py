"""The modules that the package ships, and its plug-ins, through the synchronous API as programs use them."""

from __future__ import annotations

import datetime

import pytest

from couchette import pouchdb
from couchette.pouchdb import objectstorage
from couchette.pouchdb.authentication import LocalSession
from couchette.pouchdb.mapping import DictField, Document, IntegerField, TextField, ViewField


class Person(Document):
    name = TextField()
    age = IntegerField()
    address = DictField()
    by_name = ViewField("people", "function (doc) { if (doc.name) emit(doc.name, doc.age); }")
    broken = ViewField("people", "function (doc) { emit(doc.name }")

    @ViewField.define("people")
    def by_age(doc):
        yield doc.get("age"), None


class Thing:
    id: str

    def __init__(self, name):
        self._name = name
        self.since = datetime.date(2026, 11, 21)


@pytest.fixture
def environment(tmp_path):
    environment = pouchdb.setup(storageDir=tmp_path)
    environment._core.__dict__["session"] = LocalSession(environment._core.environment, iterations=1)
    yield environment
    environment._core.environment.close()


@pytest.fixture
def db(environment):
    return environment.PouchDB("people")


def test_typed_documents_live_in_a_database_of_the_package(db):
    ann = Person(name="Ann", age=42, address={"home": {"city": "Oslo"}}).store(db)
    loaded = Person.load(db, ann.id)
    loaded.address.home.city = "Rome"
    loaded.store(db)
    assert db.get(ann.id).address.home.city == "Rome"
    assert [person.age for person in Person.by_name(db, key="Ann").rows] == [42]
    assert [person.name for person in Person.by_age(db, limit=1).rows] == ["Ann"]
    with pytest.raises(pouchdb.PouchDBError) as caught:
        ann.store(db)
    assert caught.value["status"] == 409
    with pytest.raises(pouchdb.PouchDBError) as caught:
        Person.load(db, "nobody")
    assert caught.value["status"] == 404
    with pytest.raises(pouchdb.PouchDBError):
        Person.broken(db)
    assert Person.by_name(db).total_rows == 1


def test_objects_are_the_environments_own(environment, db, tmp_path_factory):
    thing = objectstorage.store(Thing("abc"), db)
    assert objectstorage.load(db, thing.id)._name == "abc"
    elsewhere = pouchdb.setup(storageDir=tmp_path_factory.mktemp("elsewhere"))
    copy = elsewhere.PouchDB("people")
    copy.put(dict(db.get(thing.id, revs=True)), new_edits=False)
    with pytest.raises(pouchdb.PouchDBError) as caught:
        objectstorage.load(copy, thing.id)
    assert caught.value["status"] == 403
    assert objectstorage.load(copy, thing.id, classes=Thing).since == thing.since
    elsewhere._core.environment.close()


def test_plug_ins_are_methods_in_both_spellings(db):
    assert db.signUp("ada", "secret", metadata={"age": 36}).id == "org.couchdb.user:ada"
    assert db.get_session().userCtx.name is None
    assert db.log_in("ada", "secret").roles == []
    assert db.getSession().userCtx.name == "ada"
    assert db.getUser("ada").age == 36
    assert db.logOut().ok
    with pytest.raises(pouchdb.PouchDBError) as caught:
        db.sign_up("a:b", "secret")
    assert (caught.value["status"], caught.value["name"]) == (403, "forbidden")
    with pytest.raises(pouchdb.PouchDBError) as caught:
        db.login("ada", "")
    assert (caught.value["status"], caught.value["name"]) == (400, "authentication_error")
    db.put({"_id": "mytest", "test": True})
    assert [row.test for row in db.gql({"select": "*", "where": "test=true"}).rows] == [True]
    with pytest.raises(pouchdb.PouchDBError) as caught:
        db.gql("invalid")
    assert caught.value["status"] == 400
    assert db.view_cleanup().ok
