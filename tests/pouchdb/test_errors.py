"""Errors: items, attributes, and the JSON text that the package's document shows."""

from __future__ import annotations

import pickle

import pytest

from couchette import errors
from couchette.pouchdb.errors import BaseError, EnvironmentError, PouchDBError, from_couchette, from_word


def test_an_errors_members_are_items():
    error = PouchDBError("missing", status=404, name="not_found", docId="x")
    assert (error["status"], error["name"], error["message"], error.docId) == (404, "not_found", "missing", "x")
    assert "docId" in error
    assert "reason" not in error
    assert error.get("reason", "none") == "none"
    with pytest.raises(KeyError):
        error["reason"]
    with pytest.raises(AttributeError, match="'reason'"):
        _ = error.reason


def test_an_errors_text_is_json_of_status_name_and_message():
    error = PouchDBError('a "quoted" é', name="n", status=500, other=1)
    assert str(error) == '{"status":500,"name":"n","message":"a \\"quoted\\" é"}'
    assert str(PouchDBError("alone")) == '{"message":"alone"}'


def test_errors_are_of_one_family():
    assert issubclass(PouchDBError, BaseError)
    assert issubclass(EnvironmentError, BaseError)
    assert not issubclass(EnvironmentError, OSError)


def test_an_error_can_be_pickled():
    error = pickle.loads(pickle.dumps(PouchDBError("missing", "more", status=404)))
    assert (error["message"], error["status"], error.args) == ("missing", 404, ("missing", "more"))


@pytest.mark.parametrize(
    ("raised", "status", "name", "message", "reason"),
    [
        (errors.NotFound("missing"), 404, "not_found", "missing", "missing"),
        (errors.NotFound("deleted"), 404, "not_found", "missing", "deleted"),
        (errors.Conflict(), 409, "conflict", "Document update conflict", "Document update conflict."),
        (errors.Forbidden("no cats"), 403, "forbidden", "no cats", "no cats"),
        (
            errors.BadRequest("Document must have an _id"),
            412,
            "missing_id",
            "_id is required for puts",
            "Document must have an _id",
        ),
    ],
)
def test_the_engines_errors_become_pouchdbs(raised, status, name, message, reason):
    error = from_couchette(raised)
    assert (error["status"], error["name"], error["message"], error["reason"]) == (status, name, message, reason)
    assert error.__cause__ is raised


def test_a_word_of_a_bulk_answer_has_a_status():
    assert from_word("forbidden", "no").as_json() == {
        "status": 403,
        "name": "forbidden",
        "message": "no",
        "error": True,
        "reason": "no",
    }
    assert from_word("ReferenceError", "x is not defined")["status"] == 500
