"""Views of typed documents."""

from __future__ import annotations

import pytest

from couchette import Database
from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.pouchdb.mapping import DEFAULT, Document, IntegerField, TextField, ViewField, ViewResults


class Person(Document):
    name = TextField()
    age = IntegerField()
    by_name = ViewField("people", "function (doc) { emit(doc.name, {age: doc.age}); }")
    ages = ViewField("people", "function (doc) { emit(null, doc.age); }", "_sum")
    names = ViewField("people", "function (doc) { emit(doc.name); }", name="only", wrapper=lambda row: row["key"])

    @ViewField.define("people", descending=True)
    def by_age(doc):
        yield doc["age"], None


@pytest.fixture
def db():
    with Database(":memory:") as db:
        Person(id="ann", name="Ann", age=42).store(db)
        Person(id="bob", name="Bob", age=7).store(db)
        yield db


def test_a_view_answers_with_documents_and_puts_itself_in_place(db):
    answer = Person.by_name(db, limit=1)
    assert (answer["total_rows"], answer.offset) == (2, 0)
    (ann,) = answer.rows
    assert isinstance(ann, Person)
    assert (ann.name, ann.key, ann.value) == ("Ann", "Ann", {"age": 42})
    ann.age = 43
    ann.store(db)
    assert [person.age for person in Person.by_name(db).rows] == [43, 7]
    assert db["_design/people"]["views"]["by_name"]["map"] == Person.by_name.map_fun
    assert "key" not in db["ann"]


def test_views_share_a_design_document_and_reduced_rows_stay(db):
    assert Person.by_name(db).total_rows == 2
    assert Person.ages(db)["rows"] == [{"key": None, "value": 49}]
    assert [person.name for person in Person.ages(db, reduce=False).rows] == ["Ann", "Bob"]
    assert set(db["_design/people"]["views"]) == {"by_name", "ages"}


def test_a_view_that_does_not_compile_leaves_the_others_alone(db):
    class Broken(Document):
        bad = ViewField("test", "function (doc) { emit(doc._id); }}")
        good = ViewField("test", "function (doc) { emit(null, 1); }", "_sum")

    with pytest.raises(CouchetteError):
        Broken.bad(db)
    assert Broken.good(db)["rows"] == [{"key": None, "value": 2}]


def test_a_view_in_python_is_a_decorated_function(db):
    assert [person.name for person in Person.by_age(db).rows] == ["Ann", "Bob"]
    assert [person.name for person in Person.by_age(db, descending=False).rows] == ["Bob", "Ann"]
    assert "_design/people" not in db
    assert Person.by_age.sync(db) is False


def test_python_functions_reduce(db):
    class Aged(Document):
        total = ViewField("x", lambda doc: [(None, doc["age"])], lambda keys, values, rereduce: sum(values))

    assert Aged.total(db)["rows"] == [{"key": None, "value": 49}]
    assert Aged.total.reduce_fun is not None


def test_a_wrapper_makes_rows_something_else(db):
    assert Person.names(db).rows == ["Ann", "Bob"]
    assert "only" in db["_design/people"]["views"]
    rows = Person.query(db, "people/only", wrapper=None).rows
    assert rows[0] == {"id": "ann", "key": "Ann", "value": None}


def test_a_changed_view_replaces_the_stored_one(db):
    db["_design/people"] = {"views": {"by_name": {"map": "function (doc) {}"}, "kept": {"map": "function (doc) {}"}}}
    field = Person.__dict__["by_name"]
    assert field.sync(db) is True
    assert field.sync(db) is False
    assert set(db["_design/people"]["views"]) == {"by_name", "kept"}


def test_a_view_that_vanished_is_put_back(db):
    assert Person.by_name(db).total_rows == 2
    del db["_design/people"]
    assert Person.by_name(db).total_rows == 2


def test_queries_take_stored_views_and_functions(db):
    source = "function (doc) { if (doc.age) emit(doc.age, doc); }"
    assert [person.name for person in Person.query(db, source).rows] == ["Bob", "Ann"]
    assert [person.age for person in Person.query(db, lambda doc: [(doc["age"], None)], key=7).rows] == [7]
    assert Person.query(db, source, "_count").rows == [{"key": None, "value": 2}]
    without = Person.query(db, source, include_docs=False, limit=1).rows[0]
    assert (without.name, without.id) == ("Bob", "bob")
    with pytest.raises(NotFound):
        Person.query(db, "people/missing")
    with pytest.raises(BadRequest, match="python"):
        Person.query(db, "def f(doc): ...", language="python")
    with pytest.raises(BadRequest):
        Person.query(db, source, limit=-1)


def test_view_gives_a_sequence_of_documents(db):
    Person.by_name.sync(db)
    people = Person.view(db, "people/by_name", wrapper=DEFAULT)
    assert isinstance(people, ViewResults)
    assert [person.name for person in people] == ["Ann", "Bob"]
    assert (len(people), people.total_rows, people.offset, people[1].id) == (2, 2, 0, "bob")
    assert [person.id for person in people[:1]] == ["ann"]
    assert repr(people) == "<ViewResults of 2 rows>"


def test_a_row_without_a_document_stays_a_row(db):
    rows = Person.query(db, lambda doc: [(1, {"_id": "nobody"})]).rows
    assert [row["doc"] for row in rows] == [None, None]
    assert Person.query(db, lambda doc: [(1, 2)], include_docs=False).rows[0]["value"] == 2


def test_a_view_field_shows_its_design_document():
    assert repr(Person.by_name) == "<ViewField 'people'>"
    with pytest.raises(BadRequest, match="erlang"):
        ViewField("x", "fun(doc) -> ok end.", language="erlang")
    with pytest.raises(BadRequest, match="javascript"):
        ViewField.define("x", language="javascript")
