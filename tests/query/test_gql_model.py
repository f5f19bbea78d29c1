"""GQL's conditions, orders, pages and groups are what plain Python makes of the same documents."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.document.collation import compare
from couchette.query.gql_grammar import read_query

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.5]),
    st.sampled_from(["", "a", "B", "b", "ä"]),
)
DOCUMENTS = st.dictionaries(st.sampled_from(["a", "b", "a.b"]), st.one_of(VALUES, st.fixed_dictionaries({"c": VALUES})))
FIELDS = {"a": ("a",), "b": ("b",), "`a.b`": ("a.b",), "a.c": ("a", "c")}
LITERALS = {"0": 0, "2": 2, "-1.5": -1.5, "true": True, "false": False, "'a'": "a", "'b'": "b", '"ä"': "ä"}
COMPARISONS = {
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def member(doc: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        doc = doc.get(name) if isinstance(doc, dict) else None
    return doc


def collated(get):
    """A key that sorts by what ``get`` gives, as CouchDB collates it."""
    return functools.cmp_to_key(lambda one, other: compare(get(one), get(other)))


def kind(value: Any) -> Any:
    return float if type(value) is int else type(value)


def holds(operator, left, right):
    if left is None or right is None:
        return False
    if kind(left) is not kind(right):
        return operator == "!="
    return COMPARISONS[operator](compare(left, right))


def comparison(field, operator, literal, mirrored):
    """A condition's text, and a function of a document that says whether it holds."""
    names, value = FIELDS[field], LITERALS[literal]
    if mirrored:
        return f"{literal} {operator} {field}", lambda doc: holds(operator, value, member(doc, names))
    return f"{field} {operator} {literal}", lambda doc: holds(operator, member(doc, names), value)


def joined(word, parts):
    gather = {"and": all, "or": any}[word]
    return f" {word} ".join(f"({text})" for text, _ in parts), lambda doc: gather(test(doc) for _, test in parts)


def negated(part):
    text, test = part
    return f"not ({text})", lambda doc: not test(doc)


def null_test(field, is_null):
    names = FIELDS[field]
    return f"{field} is {'' if is_null else 'not '}null", lambda doc: (member(doc, names) is None) == is_null


def beginning(field, start):
    names = FIELDS[field]

    def test(doc):
        value = member(doc, names)
        return isinstance(value, str) and value.startswith(start)

    return f"{field} starts with '{start}'", test


FIELD = st.sampled_from(sorted(FIELDS))
CONDITIONS = st.recursive(
    st.one_of(
        st.builds(
            comparison, FIELD, st.sampled_from(sorted(COMPARISONS)), st.sampled_from(sorted(LITERALS)), st.booleans()
        ),
        st.builds(null_test, FIELD, st.booleans()),
        st.builds(beginning, FIELD, st.sampled_from(["", "a", "b"])),
    ),
    lambda inner: st.one_of(
        st.builds(joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
        st.builds(negated, inner),
    ),
    max_leaves=6,
)
CONTENTS = st.dictionaries(st.text("xyz", min_size=1, max_size=3), DOCUMENTS, max_size=12)


@pytest.mark.slow
@given(
    contents=CONTENTS,
    condition=CONDITIONS,
    order=st.lists(st.tuples(FIELD, st.booleans()), max_size=2, unique_by=lambda each: each[0]),
    page=st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(0, 5)),
    index=st.one_of(st.none(), st.sampled_from(["a", "b", "a.c"])),
)
def test_where_order_skipping_offset_and_limit_are_those_of_python(contents, condition, order, page, index):
    text, test = condition
    skipping, offset, limit = page
    with Database() as db:
        db.bulk_docs([{"_id": doc_id, **doc} for doc_id, doc in contents.items()])
        if index is not None:
            db.create_index([index])
        expected = sorted(doc_id for doc_id, doc in contents.items() if test(doc))
        for field, descends in reversed(order):
            expected.sort(
                key=collated(lambda doc_id, names=FIELDS[field]: member(contents[doc_id], names)), reverse=descends
            )
        ordered = ", ".join(f"{field}{' desc' if descends else ''}" for field, descends in order)
        query = f"select _id where {text}" + (f" order by {ordered}" if order else "")
        assert [row[0] for row in db.gql(query).rows] == expected
        paged = db.gql(f"{query} skipping {skipping} limit {limit} offset {offset}")
        assert [row[0] for row in paged.rows] == expected[::skipping][offset:][:limit]
        first = db.gql(f"select _id limit {limit} offset {offset}")
        assert [row[0] for row in first.rows] == sorted(contents)[offset:][:limit]


@pytest.mark.slow
@given(contents=CONTENTS)
def test_groups_are_those_of_python(contents):
    groups: list[tuple[Any, list[Any]]] = []
    for doc in contents.values():
        values = next((values for key, values in groups if compare(key, doc.get("a")) == 0), None)
        if values is None:
            groups.append((doc.get("a"), values := []))
        values.append(doc.get("b"))
    groups.sort(key=collated(lambda group: group[0]))
    with Database() as db:
        db.bulk_docs([{"_id": doc_id, **doc} for doc_id, doc in contents.items()])
        found = db.gql("select a, count(b), sum(b), avg(b) group by a").rows
    for (key, count, total, mean), (expected, values) in zip(found, groups, strict=True):
        numbers = [value for value in values if kind(value) is float]
        assert compare(key, expected) == 0
        assert count == sum(value is not None for value in values)
        assert total == (sum(numbers) if numbers else None)
        assert mean == (sum(numbers) / len(numbers) if numbers else None)


OPERANDS = st.sampled_from(
    ["a", "größe", "`limit`", "`a b`.c", "1", "2.5", "true", '"it\'s"', "'x'", "upper(a)", "date '2020-01-01'", "now()"]
)
EXPRESSIONS = st.recursive(
    OPERANDS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "and", "or", "=", "<>", "contains"]), inner).map(
            lambda drawn: "({}) {} ({})".format(*drawn)
        ),
        inner.map("-({})".format),
        inner.map("not ({})".format),
        inner.map("({}) is not null".format),
        inner.map("max({})".format),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_the_text_of_an_expression_is_read_as_that_expression(text):
    [expression] = read_query(f"select {text}").select
    [again] = read_query(f"select {expression.text}").select
    assert again == expression
    assert again.text == expression.text
