"""Typed documents: classes whose attributes are the members of documents, as couchdb-python's ``couchdb.mapping``.

>>> class Person(Document):
...     name = TextField()
...     age = IntegerField()
...     added = DateTimeField(default=datetime.now)
>>> ann = Person(name="Ann", age=42).store(db)
>>> Person.load(db, ann.id).age
42

It works on the databases of :mod:`couchette.pouchdb`'s synchronous API, and on couchette's own. Where Python-PouchDB's
module and couchdb-python's differ, it follows the former: ``load`` of a missing document raises, an id is there before
a document is stored, ``as_dict`` is a property, and a view field puts its own design document in place.

* ``fields``: fields of one value; ``structures``: lists and nested objects;
* ``records``: objects with fields; ``documents``: those with an id and a rev; ``views``: views as attributes.
"""

from __future__ import annotations

from couchette.pouchdb.mapping.documents import DEFAULT, Document, ViewResults
from couchette.pouchdb.mapping.fields import (
    BooleanField,
    DateField,
    DateTimeField,
    DecimalField,
    Field,
    FloatField,
    IntegerField,
    LongField,
    TextField,
    TimeField,
)
from couchette.pouchdb.mapping.records import Record as Mapping
from couchette.pouchdb.mapping.structures import DictField, ListField, MappedList
from couchette.pouchdb.mapping.views import BoundView, ViewField

__all__ = [
    "DEFAULT",
    "BooleanField",
    "BoundView",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "DictField",
    "Document",
    "Field",
    "FloatField",
    "IntegerField",
    "ListField",
    "LongField",
    "MappedList",
    "Mapping",
    "TextField",
    "TimeField",
    "ViewField",
    "ViewResults",
]
