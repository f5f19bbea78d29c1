"""Typed documents: fields, defaults, and what a class of documents is."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from decimal import Decimal
from typing import assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.errors import Conflict, NotFound
from couchette.pouchdb.mapping import (
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    Document,
    Field,
    FloatField,
    IntegerField,
    LongField,
    Mapping,
    TextField,
    TimeField,
)

PARIS = timezone(timedelta(hours=1))


class Person(Document):
    name = TextField()
    age = IntegerField()
    greeting = TextField(default="Hello World!")
    added = DateTimeField(default=lambda: datetime(2026, 11, 21, tzinfo=UTC))


class Everything(Document):
    text = TextField()
    integer = IntegerField()
    long = LongField()
    number = FloatField()
    decimal = DecimalField()
    truth = BooleanField()
    moment = DateTimeField()
    day = DateField()
    clock = TimeField()
    json = Field()


@pytest.fixture
def db():
    with Database(":memory:") as db:
        yield db


def test_a_document_is_stored_loaded_and_changed(db):
    person = Person(name="John Doe", age=42)
    assert person.rev is None
    assert person.store(db) is person
    loaded = Person.load(db, person.id)
    assert (loaded.name, loaded.age, loaded.rev) == ("John Doe", 42, person.rev)
    loaded.name = "John R. Doe"
    loaded.store(db)
    assert loaded.rev != person.rev
    assert db[person.id]["name"] == "John R. Doe"
    with pytest.raises(Conflict):
        person.store(db)


def test_types_are_known_to_a_checker():
    person = Person(name="Ann")
    assert_type(person.id, str)
    assert_type(person.name, str | None)
    assert_type(person.age, int | None)
    assert_type(person.added, datetime | None)
    assert_type(Person.name, TextField)
    assert isinstance(Person.name, TextField)


def test_an_id_is_given_or_made():
    assert Person(id="ann").id == "ann"
    assert len(Person().id) == 32
    assert Person().id != Person().id


def test_a_missing_document_raises_as_the_database_does(db):
    with pytest.raises(NotFound):
        Person.load(db, "nobody")


def test_defaults_are_values_or_functions():
    person = Person()
    assert person.greeting == "Hello World!"
    assert person.added == datetime(2026, 11, 21, tzinfo=UTC)
    assert person.name is None
    person.greeting = None
    assert person.greeting is None


def test_a_default_is_each_documents_own():
    class Basket(Document):
        things = Field(default=[0])

    one, other = Basket(), Basket()
    assert one.things is not None
    one.things.append(1)
    assert other.things == [0]


def test_a_stored_document_without_a_member_has_the_default(db):
    db["old"] = {"name": "Ann"}
    loaded = Person.load(db, "old")
    assert loaded.greeting == "Hello World!"
    assert loaded.age is None


def test_what_no_field_names_stays_in_the_document(db):
    db["ann"] = {"name": "Ann", "colour": "blue"}
    db.put_attachment("ann", "note", b"hi", "text/plain", rev=db["ann"]["_rev"])
    person = Person.load(db, "ann")
    person["colour"] = person["colour"].upper()
    person.store(db)
    assert db["ann"]["colour"] == "BLUE"
    assert db.get_attachment("ann", "note").data == b"hi"


def test_an_unknown_argument_is_a_type_error():
    with pytest.raises(TypeError, match="no field 'unexisting_field'"):
        Person(unexisting_field="Hi")


def test_a_field_cannot_be_deleted():
    person = Person()
    with pytest.raises(TypeError, match="Can't delete a document field."):
        del person.name


def test_a_value_that_cannot_be_names_the_field():
    with pytest.raises(ValueError, match="IntegerField 'age'"):
        Person(age="old")
    with pytest.raises(TypeError, match="IntegerField 'age'"):
        Person(age=[])
    with pytest.raises(ValueError, match="DecimalField 'decimal'"):
        Everything(decimal="much")
    assert Person(name="x").unwrap()["name"] == "x"
    with pytest.raises(ValueError, match="'age'"):
        _ = Person.wrap({"age": "old"}).age


def test_members_may_have_other_names_than_attributes():
    class Thing(Document):
        kind = TextField(name="type", default="thing")

    thing = Thing(kind="other")
    assert thing.unwrap()["type"] == thing.kind == thing["type"] == "other"
    with pytest.raises(TypeError):
        Thing(type="x")


def test_a_subclass_has_the_fields_of_its_bases():
    class Aged(Mapping):
        age = IntegerField(default=1)

    class Employee(Aged, Person):
        salary = DecimalField()

    class Nameless(Employee):
        name = None

    employee = Employee(name="Ann", salary="10.50")
    assert (employee.age, employee.salary) == (1, Decimal("10.50"))
    with pytest.raises(TypeError, match="no field 'name'"):
        Nameless(name="Ann")


def test_the_representation_shows_what_is_set():
    assert repr(Person(name="John", age=42, added=None)) == "Person(age=42, greeting='Hello World!', name='John')"


def test_as_dict_has_the_values_of_the_fields(db):
    class Post(Document):
        title = TextField()
        day = DateField()

    post = Post(id="foo-bar", title="Foo bar", day="2026-11-21")
    assert post.as_dict == {"_id": "foo-bar", "title": "Foo bar", "day": date(2026, 11, 21)}
    assert post.store(db).as_dict["_rev"] == post.rev


def test_a_document_reads_as_its_json_members():
    person = Person.wrap({"name": "Ann", "_rev": "1-x", "_id": "ann", "more": 1})
    assert list(person.items()) == [("_id", "ann"), ("_rev", "1-x"), ("name", "Ann"), ("more", 1)]
    assert list(person) == ["_id", "_rev", "name", "more"]
    assert len(person) == 4
    assert "more" in person
    assert "less" not in person
    assert (person["more"], person.get("less", 2), person.setdefault("less", 3)) == (1, 2, 3)
    person["name"] = "Bob"
    assert person.name == "Bob"
    del person["more"]
    assert "more" not in person


def test_wrap_and_unwrap_share_the_members():
    data = {"name": "Ann"}
    person = Person.wrap(data)
    person.name = "Bob"
    assert person.unwrap() is data
    assert data["name"] == "Bob"


def test_build_makes_a_class_of_fields():
    Point = Mapping.build(x=FloatField(), y=FloatField(default=0.5))
    point = Point(x=1)
    assert (point.x, point.y) == (1.0, 0.5)
    assert point.unwrap() == {"x": 1.0, "y": 0.5}


@pytest.mark.parametrize(
    ("field", "given", "stored", "read"),
    [
        ("text", 5, "5", "5"),
        ("integer", "42", 42, 42),
        ("integer", 2**70, 2**70, 2**70),
        ("long", 3.9, 3, 3),
        ("number", "1.5", 1.5, 1.5),
        ("decimal", "1.10", "1.10", Decimal("1.10")),
        ("decimal", 0.1, "0.1", Decimal("0.1")),
        ("truth", "yes", True, True),
        ("moment", datetime(2026, 11, 21, 9, 30), "2026-11-21T09:30:00", datetime(2026, 11, 21, 9, 30)),
        ("moment", date(2026, 11, 21), "2026-11-21T00:00:00", datetime(2026, 11, 21)),
        ("moment", "2026-11-21T09:30:00Z", "2026-11-21T09:30:00+00:00", datetime(2026, 11, 21, 9, 30, tzinfo=UTC)),
        ("moment", 1000, "1970-01-01T00:16:40+00:00", datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)),
        ("moment", time.struct_time((1, 2, 3, 4, 5, 6, 0, 1, 0)), "0001-02-03T04:05:06", datetime(1, 2, 3, 4, 5, 6)),
        ("day", date(2026, 11, 21), "2026-11-21", date(2026, 11, 21)),
        ("day", datetime(2026, 11, 21, 23, tzinfo=PARIS), "2026-11-21", date(2026, 11, 21)),
        ("day", time.struct_time((1, 1, 1, 1, 1, 1, 1, 1, 1)), "0001-01-01", date(1, 1, 1)),
        ("day", "2026-11-21T01:02:03", "2026-11-21", date(2026, 11, 21)),
        ("clock", time_of_day(15, 30), "15:30:00", time_of_day(15, 30)),
        ("clock", "15:30", "15:30:00", time_of_day(15, 30)),
        ("clock", "2026-11-21T15:30:00", "15:30:00", time_of_day(15, 30)),
        ("clock", 1000, "00:16:40+00:00", time_of_day(0, 16, 40, tzinfo=UTC)),
        ("json", {"a": [1]}, {"a": [1]}, {"a": [1]}),
    ],
)
def test_each_field_stores_json_and_reads_its_type(db, field, given, stored, read):
    doc = Everything(**{field: given})
    doc.store(db)
    assert db[doc.id][field] == stored
    value = getattr(Everything.load(db, doc.id), field)
    assert value == read
    assert type(value) is type(read)


@given(st.datetimes(timezones=st.sampled_from([None, UTC, PARIS])), st.decimals(allow_nan=False), st.times())
def test_values_come_back_as_they_were(moment, decimal, clock):
    doc = Everything(moment=moment, day=moment.date(), decimal=decimal, clock=clock)
    assert (doc.moment, doc.day, doc.decimal, doc.clock) == (moment, moment.date(), decimal, clock)
