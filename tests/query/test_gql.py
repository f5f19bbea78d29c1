"""GQL's clauses over documents: what they select, and what they refuse."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import QueryParseError

STAFF = [
    {"_id": "john", "dept": "Eng", "lunch": "12:00:00", "salary": 1000, "hired": "2005-03-19", "senior": True},
    {"_id": "dave", "dept": "Eng", "lunch": "12:00:00", "salary": 500, "hired": "2006-04-19", "senior": False},
    {"_id": "sally", "dept": "Eng", "lunch": "13:00:00", "salary": 600, "hired": "2005-10-10T09:30:00Z"},
    {"_id": "ben", "dept": "Sales", "lunch": "12:00:00", "salary": 400.5, "home": {"city": "Oslo"}},
    {"_id": "dana", "dept": "Sales", "lunch": "12:00:00", "salary": 350, "home": {"city": "Rome", "a.b": 1}},
    {"_id": "mike", "dept": "Marketing", "lunch": "13:00:00", "salary": 800, "name!": "it's"},
]


@pytest.fixture
def db():
    with Database() as made:
        made.bulk_docs(STAFF)
        made["_design/left-out"] = {"dept": "Eng"}
        yield made


def rows(db, query):
    return db.gql(query).rows


def firsts(db, where):
    return [row[0] for row in db.gql(f"select _id where {where}").rows]


def test_selected_columns_are_named_by_what_they_show_and_missing_members_are_null(db):
    found = db.gql("select `name!`, salary - 100, upper(dept) where salary >= 800")
    assert found.columns == ("name!", "salary - 100", "upper(dept)") == found.ids
    assert found.rows == [(None, 900, "ENG"), ("it's", 700, "MARKETING")]
    assert found[1] == {"name!": "it's", "salary - 100": 700, "upper(dept)": "MARKETING"}
    assert list(found) == found[:]
    assert len(found) == 2


@pytest.mark.parametrize("query", ["select *", "", " SELECT * "])
def test_a_star_selects_every_member_that_there_is(db, query):
    found = db.gql(query)
    assert found.columns == ("_id", "_rev", "dept", "lunch", "salary", "home", "hired", "senior", "name!")
    assert [row["_id"] for row in found] == ["ben", "dana", "dave", "john", "mike", "sally"]
    assert found[0]["home"] == {"city": "Oslo"}
    assert found[0]["hired"] is None


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("salary < 500", "ben dana"),
        ("500 <= salary and salary <= 600", "dave sally"),
        ("salary <> 500 and dept = 'Eng'", "john sally"),
        ("not dept = 'Eng' and not (salary > 400)", "dana"),
        ("dept = 'Sales' or dept = \"Marketing\"", "ben dana mike"),
        ("home is null and hired is null", "mike"),
        ("home.city is not null", "ben dana"),
        ("home.`a.b` = 1", "dana"),
        ("senior = true", "john"),
        ("senior", "john"),
        ("senior != true", "dave"),
        ("dept contains 'ale'", "ben dana"),
        ("dept starts with 'E'", "dave john sally"),
        ("_id ENDS  WITH 'a'", "dana"),
        ("_id matches 'da.*'", "dana dave"),
        ("_id matches 'da'", ""),
        ("_id like 'd_n%'", "dana"),
        ("_id > 'j'", "john mike sally"),
        ("salary = '500'", ""),
        ("salary != '500' and _id = 'ben'", "ben"),
        ("salary * 2 + 1 = 801 + 1", "ben"),
        ("salary / 0 > 1", ""),
        ("-salary < -900", "john"),
        ("hired > date '2005-12-31'", "dave"),
        ("hired = datetime '2005-10-10 09:30:00'", "sally"),
        ("hired <= timestamp '2005-10-10T09:30:00'", "john sally"),
        ("lunch = timeofday '13:00:00'", "mike sally"),
        ("year(hired) = 2005 and month(hired) = 2 and day(hired) = 19", "john"),
        ("dateDiff(hired, date '2005-03-20') = -1", "john"),
        ("now() > hired", "dave john sally"),
    ],
)
def test_where(db, where, expected):
    assert " ".join(firsts(db, where)) == expected


def test_groups_are_ordered_by_their_keys_and_aggregated(db):
    query = "select dept, count(salary), max(salary), min(lunch), avg(salary), sum(hired) group by dept"
    assert rows(db, query) == [
        ("Eng", 3, 1000, "12:00:00", 700, None),
        ("Marketing", 1, 800, "13:00:00", 800, None),
        ("Sales", 2, 400.5, "12:00:00", 375.25, None),
    ]


def test_aggregates_may_be_computed_with_and_what_is_grouped_by_may_be_an_expression(db):
    found = db.gql("select upper(dept), sum(salary * 2) / count(salary) group by upper(dept) order by sum(salary) desc")
    assert found.columns == ("upper(dept)", "sum(salary * 2) / count(salary)")
    assert found.rows == [("ENG", 1400), ("MARKETING", 1600), ("SALES", 750.5)]


def test_without_groups_an_aggregate_is_of_all_documents_even_if_there_are_none(db):
    assert rows(db, "select max(salary), count(home)") == [(1000, 2)]
    assert rows(db, "select max(salary), count(salary) where salary > 5000") == [(None, 0)]
    assert rows(db, "select dept, max(salary) where salary > 5000 group by dept") == []


def test_a_pivot_makes_columns_of_values(db):
    found = db.gql("select dept, sum(salary) group by dept pivot lunch order by dept desc label sum(salary) 'paid'")
    assert found.columns == ("dept", "12:00:00 paid", "13:00:00 paid")
    assert found.ids == ("dept", "12:00:00 sum(salary)", "13:00:00 sum(salary)")
    assert found.rows == [("Sales", 750.5, None), ("Marketing", None, 800), ("Eng", 1500, 600)]


def test_a_pivot_alone_gives_one_row(db):
    found = db.gql("select max(salary), count(salary) pivot dept, lunch")
    assert found.columns[:2] == ("Eng,12:00:00 max(salary)", "Eng,13:00:00 max(salary)")
    assert found.rows == [(1000, 600, 800, 400.5, 2, 1, 1, 2)]
    assert rows(db, "select max(salary) where dept = 'Law' pivot dept") == []


def test_order_skipping_offset_and_limit_come_one_after_the_other(db):
    ordered = ["john", "mike", "sally", "dave", "ben", "dana"]
    by_pay = "select _id order by salary desc"
    assert [row[0] for row in rows(db, by_pay)] == ordered
    assert [row[0] for row in rows(db, f"{by_pay} skipping 2")] == ordered[::2]
    assert [row[0] for row in rows(db, f"{by_pay} skipping 2 limit 1 offset 1")] == ordered[::2][1:2]
    assert [row[0] for row in rows(db, "select _id limit 2 offset 1")] == ["dana", "dave"]
    assert rows(db, "select _id limit 0") == []
    assert [row[0] for row in rows(db, "select _id order by lunch desc, dept, salary")] == [
        *("sally", "mike", "dave", "john", "dana", "ben")
    ]


def test_labels_and_formats(db):
    found = db.gql(
        "select _id, salary, senior, toDate(hired) where hired is not null "
        "label salary 'Pay', _id 'Who' format salary '#,##0.00', toDate(hired) 'd MMM yyyy', senior 'yes:no'"
    )
    assert found.columns == ("Who", "Pay", "senior", "toDate(hired)")
    assert found.rows[1] == ("john", 1000, True, date(2005, 3, 19))
    assert found.formatted == [
        ("dave", "500.00", "no", "19 Apr 2006"),
        ("john", "1,000.00", "yes", "19 Mar 2005"),
        ("sally", "600.00", "", "10 Oct 2005"),
    ]


def test_options_leave_out_values_or_formats(db):
    query = "select salary where salary = 350 format salary '0.0' options"
    assert db.gql(f"{query} no_values").rows == [("350.0",)]
    plain = db.gql(f"{query} no_format")
    assert (plain.rows, plain.formatted) == ([(350,)], [("350",)])


def test_moments_are_values_of_python(db):
    query = "select date '2020-02-29', datetime '2020-02-29 10:00:00', timeofday '01:02:03', now() limit 1"
    [(day, moment, hour, now)] = rows(db, query)
    assert (day, moment, hour) == (date(2020, 2, 29), datetime(2020, 2, 29, 10), time(1, 2, 3))
    assert isinstance(now, datetime)
    assert now.tzinfo is None


def test_a_query_may_be_a_mapping_of_clauses(db):
    asked = {"pivot": "lunch", "select": "dept, max(salary)", "groupBy": "dept", "where": "salary > 400", "limit": 1}
    assert list(db.gql(asked)) == [{"dept": "Eng", "12:00:00 max(salary)": 1000, "13:00:00 max(salary)": 600}]


def test_words_that_are_not_reserved_are_names_in_any_script(db):
    db["odd"] = {"contains": 1, "größe": 2, "select": 3, "notable": 4}
    assert rows(db, "select contains, größe, `select`, notable where notable contains 'x' or contains = 1") == [
        (1, 2, 3, 4)
    ]


def test_one_and_true_are_two_columns(db):
    assert rows(db, "select 1, true, 1.0 limit 1") == [(1, True, 1.0)]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select dept,\nsalary wher x", "'wher x' is not expected at line 2, column 8"),
        ("select dept where", "ends too early at line 1, column 18"),
        ("select #", "'#' is not expected at line 1, column 8"),
        ("where dept = null", "'null' is not expected at line 1, column 14"),
        ("select dept group by lunch", "dept has many values in a group at line 1, column 8"),
        ("select dept, max(salary)", "dept has many values in a group at line 1, column 8"),
        ("select * group by dept", "SELECT * fails at line 1, column 1"),
        ("select max(salary) where max(salary) > 1", "max(salary) cannot be computed here at line 1, column 26"),
        ("select max(min(salary))", "min(salary) cannot be computed here at line 1, column 12"),
        ("select max(salary) group by dept pivot dept", "dept is grouped by already at line 1, column 40"),
        ("select max(a) pivot b order by max(a)", "max(a) cannot be ordered by at line 1, column 32"),
        ("select dept, dept", "dept is there twice in one clause at line 1, column 14"),
        ("select dept label salary 'Pay'", "salary is not selected at line 1, column 19"),
        ("select dept format dept 'qqq'", "The pattern 'qqq' of dept is none at line 1, column 20"),
        ("select nope(dept)", "There is no function nope at line 1, column 8"),
        ("select dateDiff(dept)", "dateDiff takes 2 arguments and has 1 at line 1, column 8"),
        ("select now(1)", "now takes 0 arguments and has 1 at line 1, column 8"),
        ("where a > date '2020-02-30'", "'2020-02-30' is no date at line 1, column 16"),
        ("where a matches '('", "'(' is no regular expression at line 1, column 17"),
        ("select a limit 1.5", "1.5 is no whole number at line 1, column 16"),
        ("select a skipping 0", "SKIPPING takes a number above 0, which is not at line 1, column 19"),
        (f"select {'9' * 301}", "A number is too long at line 1, column 8"),
        (f"select {'-' * 200}a", "The query nests too deeply at line 1, column 1"),
        ("select a options no_values no_format", "together leave nothing"),
        ({"selct": "a"}, "There is no clause 'selct'."),
        ({"select": ["a"]}, "The clause 'select' must be text or a number."),
        (7, "A GQL query is text or a mapping of clauses."),
        ("x" * 65_537, "The query is too long."),
    ],
)
def test_a_bad_query_is_a_400_that_shows_the_place(db, query, reason):
    with pytest.raises(QueryParseError) as caught:
        db.gql(query)
    assert caught.value.status == 400
    assert reason in caught.value.reason
    assert caught.value.hint


def test_without_lark_the_error_names_the_extra(monkeypatch, db):
    import sys

    from couchette.errors import MissingExtra
    from couchette.query import gql_grammar

    gql_grammar._parser.cache_clear()
    monkeypatch.setitem(sys.modules, "lark", None)
    with pytest.raises(MissingExtra, match=r"pip install 'couchette\[gql\]'"):
        db.gql("select a")


@pytest.mark.anyio
async def test_the_asynchronous_facade_answers_the_same():
    async with AsyncDatabase() as db:
        await db.bulk_docs(STAFF)
        assert (await db.gql("select max(salary)")).rows == [(1000,)]
