"""Python objects as documents, and whose objects are made."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import sys
import types
import uuid
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database, Environment
from couchette.errors import MissingExtra
from couchette.pouchdb import objectstorage
from couchette.pouchdb.errors import PouchDBError
from couchette.pouchdb.objectstorage import PREFIX, load, store


class Person:
    id: str
    rev: str

    def __init__(self, name, birth=None):
        self._name = name
        self._birth = birth or datetime.date(2026, 11, 21)
        self.data = [{"a": [1, 2, 3], "_b": 4}]

    def __eq__(self, other):
        return isinstance(other, Person) and (self._name, self._birth, self.data) == (
            other._name,
            other._birth,
            other.data,
        )


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: float
    colour: Colour


class Calling:
    """What anybody who can write a document would like to have made."""

    made: ClassVar[list[str]] = []

    def __init__(self, text="x"):
        Calling.made.append(text)

    def __reduce__(self):
        return Calling, ("reduced",)


def call(text):
    Calling.made.append(text)


@pytest.fixture
def environment(tmp_path):
    with Environment(tmp_path) as environment:
        yield environment


class Face(Database):
    """A database that belongs to an environment, as those of the package do."""

    def __init__(self, environment):
        super().__init__(":memory:")
        self._core = types.SimpleNamespace(environment=types.SimpleNamespace(environment=environment))


@pytest.fixture
def db(environment):
    with Face(environment) as db:
        yield db


@pytest.fixture
def other(tmp_path_factory):
    """A database of another environment."""
    with Environment(tmp_path_factory.mktemp("other")) as environment, Face(environment) as db:
        yield db


def test_an_object_is_stored_and_loaded(db):
    person = Person("Joe")
    assert store(person, db) is person
    loaded = load(db, person.id)
    assert loaded == person
    assert (loaded.id, loaded.rev) == (person.id, person.rev)
    loaded.data = "new"
    store(loaded, db)
    assert load(db, person.id).data == "new"
    assert load(db, person.id, rev=person.rev).data == person.data
    with pytest.raises(Exception, match="conflict"):
        store(person, db)


def test_names_with_underscores_have_a_prefix_in_the_document(db):
    store(Person("Joe"), db, "joe")
    doc = db["joe"]
    assert doc[PREFIX + "_name"] == "Joe"
    assert doc["data"] == [{"a": [1, 2, 3], PREFIX + "_b": 4}]
    assert doc["py/object"].endswith("Person")
    assert "id" not in doc
    store(Person("Ann"), db, "ann", prefix="ours-")
    assert db["ann"]["ours-_name"] == "Ann"
    assert load(db, "ann", prefix="ours-")._name == "Ann"


def test_an_id_and_a_rev_may_be_given(db):
    person = store(Person("Joe"), db, "the_id")
    first = person.rev
    del person.rev
    store(person, db, rev=first)
    assert person.id == "the_id"
    assert person.rev.startswith("2-")


@pytest.mark.parametrize("prefix", ["", "_x", "py/"])
def test_a_prefix_that_would_not_help_is_refused(db, prefix):
    with pytest.raises(PouchDBError, match="prefix"):
        store(Person("Joe"), db, prefix=prefix)


@pytest.mark.parametrize(
    "value",
    [
        *(1, "text", None, [1, [2]], (1, 2), {"a": 1}, {}, {1: 2, (1, 2): "x"}, {"value": 1}, {PREFIX + "value": 1}),
        *({"_a": 1, PREFIX + "_a": 2, PREFIX * 2: 3, "id": 4}, {1, 2}, frozenset([1]), b"bytes", 1j, 1.5, 2**80),
        *(datetime.datetime(2026, 11, 21, 9, tzinfo=datetime.UTC), datetime.date(2026, 1, 2), datetime.timedelta(3)),
        *(datetime.time(1, 2), decimal.Decimal("1.10"), fractions.Fraction(1, 3), uuid.UUID(int=7)),
        *(collections.OrderedDict(b=1, a=2), collections.Counter("aab"), collections.deque([1]), int),
    ],
    ids=repr,
)
def test_data_is_loaded_whoever_stored_it(db, other, value):
    store(value, db, "it")
    assert load(db, "it") == value
    other.put(db.get("it", revs=True), new_edits=False)
    loaded = load(other, "it")
    assert loaded == value
    assert type(loaded) is type(value)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text("_ab") | st.sampled_from([PREFIX, PREFIX + "_", PREFIX + PREFIX + "a"]), inner)
    ),
    max_leaves=10,
)


def names_in(value):
    if isinstance(value, dict):
        return {*value, *(name for member in value.values() for name in names_in(member))}
    return {name for member in value for name in names_in(member)} if isinstance(value, list) else set()


@given(json_like, st.sampled_from([PREFIX, "ours-", "a"]))
def test_no_name_is_lost_by_its_prefix(value, prefix):
    escaped = objectstorage._escaped(value, prefix)
    assert not any(name.startswith("_") for name in names_in(escaped))
    assert objectstorage._unescaped(escaped, prefix) == value


def test_another_environments_object_is_made_of_named_classes_only(db, other):
    point = Point(1.5, Colour.RED)
    store(point, db, "point")
    other.put(db.get("point", revs=True), new_edits=False)
    with pytest.raises(PouchDBError) as caught:
        load(other, "point")
    assert caught.value["status"] == 403
    assert "Point" in caught.value["message"]
    with pytest.raises(PouchDBError, match="Colour"):
        load(other, "point", classes=Point)
    assert load(other, "point", classes=[Point, Colour]) == point
    assert load(other, "point", trusted=True) == point


def test_a_document_that_was_changed_elsewhere_is_somebody_elses(db):
    store(Point(1.5, Colour.RED), db, "point")
    doc = db["point"]
    db["point"] = {**doc, "x": 2}
    with pytest.raises(PouchDBError, match="somebody else's"):
        load(db, "point")
    db["point"] = {name: value for name, value in doc.items() if name != "_rev"}
    assert load(db, "point") == Point(1.5, Colour.RED)
    db["copy"] = {name: value for name, value in doc.items() if not name.startswith("_")}
    with pytest.raises(PouchDBError):
        load(db, "copy")


def test_a_database_without_an_environment_believes_nobody():
    with Database(":memory:") as db:
        store(Point(1.5, Colour.RED), db, "point")
        with pytest.raises(PouchDBError):
            load(db, "point")
        assert load(db, "point", classes=(Point, Colour)).x == 1.5


HERE = Calling.__module__


@pytest.mark.parametrize(
    "pickled",
    [
        {"py/object": f"{HERE}.Calling", "py/initargs": ["x"]},
        {"a": [{"b": {"py/object": f"{HERE}.Calling"}}]},
        {"py/reduce": [{"py/type": f"{HERE}.Calling"}, {"py/tuple": ["x"]}]},
        {"py/reduce": [{"py/function": f"{HERE}.call"}, {"py/tuple": ["x"]}]},
        {"py/function": "os.system"},
        {"py/repr": "os/os.getcwd()"},
        {"py/mod": "os"},
        {"py/new tag": 1},
        {"py/object": ["list"]},
        {f'json://{{"py/object": "{HERE}.Calling"}}': 1},
        {"datetime": {"py/object": "datetime.datetime", "__reduce__": [{"py/type": f"{HERE}.Calling"}, ["x"]]}},
    ],
    ids=str,
)
def test_code_that_a_document_names_is_not_run(db, pickled):
    Calling.made.clear()
    db["evil"] = pickled
    with pytest.raises(PouchDBError) as caught:
        load(db, "evil", classes=Point)
    assert caught.value["status"] == 403
    assert Calling.made == []


names = st.sampled_from([f"{HERE}.Calling", f"{HERE}.call", "this.c", *sorted(objectstorage._DATA)])
tags = st.sampled_from(
    [*sorted(objectstorage._HARMLESS_TAGS), "py/object", "py/type", "py/function", "py/repr", "py/mod", "py/property"]
)
pickles = st.recursive(
    st.none() | st.integers(0, 3) | names | st.sampled_from(["py/newobj", "x", "x/y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(tags | st.text("ab", max_size=1), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.slow
@given(pickles)
def test_no_document_of_somebody_else_reaches_code(pickled):
    Calling.made.clear()
    with Database(":memory:") as db:
        db["any"] = {PREFIX + "value": pickled}
        with contextlib.suppress(PouchDBError):
            load(db, "any")
    assert Calling.made == []
    assert "this" not in sys.modules


def test_a_named_class_may_rebuild_itself(db):
    Calling.made.clear()
    db["it"] = {"py/reduce": [{"py/type": f"{HERE}.Calling"}, {"py/tuple": ["x"]}]}
    assert isinstance(load(db, "it", classes=Calling), Calling)
    assert Calling.made == ["x"]


def test_a_class_that_is_gone_is_told(db):
    db["it"] = {"py/object": "nowhere.Thing"}
    with pytest.raises(PouchDBError, match=r"nowhere\.Thing"):
        load(db, "it", trusted=True)


def test_without_jsonpickle_the_extra_is_named(db, monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonpickle", None)
    with pytest.raises(MissingExtra, match="objectstorage"):
        objectstorage.store(1, db)
