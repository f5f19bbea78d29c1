"""Lists and nested objects in typed documents."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.pouchdb.mapping import (
    DateTimeField,
    DictField,
    Document,
    IntegerField,
    ListField,
    MappedList,
    Mapping,
    TextField,
)

NOON = datetime(2026, 11, 21, 12)


class Author(Mapping):
    name = TextField()
    email = TextField()


class Comment(Mapping):
    author = TextField()
    time = DateTimeField()


class Post(Document):
    title = TextField()
    author = DictField(Author)
    extra = DictField()
    comments = ListField(Comment)
    tags = ListField(TextField)
    days = ListField(DateTimeField())
    anything = ListField()


@pytest.fixture
def db():
    with Database(":memory:") as db:
        yield db


def test_nested_objects_are_read_by_attribute_and_changed_in_place(db):
    post = Post(title="Foo bar", author={"name": "John Doe", "email": "john@doe.com"}, extra={"foo": {"bar": 1}})
    post.author.name = "Ann"
    post.extra.foo.bar = 2
    post.store(db)
    assert db[post.id]["author"] == {"name": "Ann", "email": "john@doe.com"}
    loaded = Post.load(db, post.id)
    assert (loaded.author.name, loaded.extra.foo.bar, loaded.extra["foo"]) == ("Ann", 2, {"bar": 2})
    loaded.author = Author(name="Eve")
    loaded.extra = None
    loaded.store(db)
    assert db[post.id]["author"] == {"name": "Eve", "email": None}
    assert db[post.id]["extra"] == {}


def test_lists_are_changed_in_place(db):
    post = Post(tags=["b", "a"], days=["2026-11-21T12:00:00"])
    post.comments.append(author="myself", time=NOON)
    post.comments.append(Comment(author="other"))
    post.comments[1].time = NOON
    post.tags.sort()
    post.tags.extend(["c"])
    post.tags.append(4)
    post.anything.append({"any": [1]})
    post.store(db)
    assert db[post.id]["comments"] == [
        {"author": "myself", "time": "2026-11-21T12:00:00"},
        {"author": "other", "time": "2026-11-21T12:00:00"},
    ]
    loaded = Post.load(db, post.id)
    assert [comment.time for comment in loaded.comments] == [NOON, NOON]
    assert loaded.tags == ["a", "b", "c", "4"]
    assert loaded.days == [NOON]
    assert loaded.anything == [{"any": [1]}]


def test_types_of_nested_values_are_known_to_a_checker():
    post = Post(comments=[{"author": "Ann"}])
    assert_type(post.author, Author)
    assert_type(post.comments, MappedList[Comment])
    assert_type(post.comments[0].author, str | None)
    assert_type(post.tags, MappedList[str])
    assert_type(post.anything, MappedList[Any])


def test_a_list_has_the_ways_of_a_list():
    tags = Post(tags=["a", "b", "c"]).tags
    assert (tags[0], tags[-1], tags[1:], len(tags), "b" in tags) == ("a", "c", ["b", "c"], 3, True)
    tags[0] = 1
    tags[1:] = ["x", "y"]
    tags.insert(0, None)
    del tags[1]
    assert repr(tags) == "[None, 'x', 'y']"
    del tags[0]
    tags.sort(reverse=True, key=str)
    assert tags == ["y", "x"] == tags
    assert tags != "yx"
    with pytest.raises(TypeError, match="one value"):
        tags.append("a", "b")
    with pytest.raises(TypeError, match="one value"):
        tags.append()


def test_missing_and_null_structures_are_empty():
    for data in (dict[str, Any](), {"tags": None, "extra": None, "author": None}):
        post = Post.wrap(data)
        post.tags.append("x")
        post.extra["y"] = 1
        post.author.name = "z"
        assert data == data | {"tags": ["x"], "extra": {"y": 1}, "author": {"name": "z", "email": None}}


def test_what_is_no_list_or_object_is_refused():
    for name, value in (("tags", "abc"), ("tags", {"a": 1}), ("tags", 5), ("extra", [1]), ("author", "Ann")):
        with pytest.raises(TypeError, match=repr(name)):
            Post(**{name: value})
        with pytest.raises(TypeError, match=repr(name)):
            getattr(Post.wrap({name: value}), name)
    with pytest.raises(TypeError, match="no field 'nome'"):
        Post(author={"nome": "Ann"})


def test_fields_of_built_records_nest():
    class Trip(Document):
        stops = ListField(DictField(Mapping.build(place=TextField(), night=IntegerField())))

    trip = Trip(stops=[{"place": "Oslo", "night": "1"}])
    assert (trip.stops[0].place, trip.stops[0].night) == ("Oslo", 1)
    assert trip.unwrap()["stops"] == [{"place": "Oslo", "night": 1}]


def load_rows(rows):
    return [
        {**row, "time": datetime.fromisoformat(row["time"])} if isinstance(row["time"], str) else row for row in rows
    ]


def serialize_rows(rows):
    rows = copy.deepcopy(rows)
    for row in rows:
        row["time"] = row["time"].isoformat()
    return rows


class Old(Document):
    """As Python-PouchDB's documentation has it, with functions of the whole list."""

    comments = ListField(jsonSerializable=serialize_rows, toPy=load_rows)
    author = DictField(toPy=lambda value: {**value, "seen": True}, jsonSerializable=lambda value: {"n": value["n"]})


def test_functions_of_a_whole_list_convert_it_when_it_is_stored(db):
    old = Old(author={"n": 1})
    old.comments.append({"author": "myself", "time": NOON})
    assert old.author.seen is True
    old.store(db)
    stored = db[old.id]
    assert stored["comments"] == [{"author": "myself", "time": "2026-11-21T12:00:00"}]
    assert stored["author"] == {"n": 1}
    loaded = Old.load(db, old.id)
    assert loaded.comments[0]["time"] == NOON
    loaded.comments.append({"time": NOON})
    assert len(loaded.unwrap()["comments"]) == 2
    loaded["comments"] = []
    assert loaded.comments == []
    with pytest.raises(TypeError, match="cannot be nested"):
        ListField(Old)


@given(st.lists(st.text()))
def test_a_list_reads_as_what_was_set(values):
    assert list(Post(tags=values).tags) == values
