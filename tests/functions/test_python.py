"""Filters and validation in Python."""

from __future__ import annotations

import pytest

from couchette import errors
from couchette.functions import PythonFunctions


def test_filters_judge_batches():
    functions = PythonFunctions(filters={"big": lambda doc, req: doc["v"] > int(req["query"]["n"])})
    assert functions.filter("big", [{"v": 1}, {"v": 2}], {"query": {"n": "1"}}) == [False, True]
    with pytest.raises(errors.NotFound, match="missing json key: none"):
        functions.filter("none", [], {})
    with pytest.raises(errors.FunctionFailed, match="KeyError") as raised:
        functions.filter("big", [{}], {"query": {"n": "1"}})
    assert isinstance(raised.value.__cause__, KeyError)
    functions.close()


def guard(edited, old, user_ctx, sec_obj):
    if edited.get("bad"):
        raise errors.Forbidden("no bad")
    if user_ctx["name"] is None:
        raise errors.Unauthorized("log in")
    edited["must"]


def test_validation_refuses_by_raising():
    functions = PythonFunctions(validate_doc_update=guard)
    functions.validate({"must": 1}, None, {"name": "a"}, {})
    with pytest.raises(errors.Forbidden, match="no bad"):
        functions.validate({"bad": 1}, None, {"name": "a"}, {})
    good, bad = functions.validate_all([({"must": 1}, None), ({"bad": 1}, None)], {"name": "a"}, {})
    assert good is None
    assert isinstance(bad, errors.Forbidden)
    with pytest.raises(errors.FunctionFailed, match="KeyError: 'must'"):
        functions.validate_all([({}, None)], {"name": "a"}, {})
    PythonFunctions().validate({}, None, {}, {})
