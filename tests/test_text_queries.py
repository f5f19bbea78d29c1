"""The facades' methods for full text."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import DatabaseClosed

pytestmark = pytest.mark.anyio


async def test_an_asynchronous_database_searches_as_the_other(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette") as db:
        await db.bulk_docs([{"_id": "a", "text": "one fox"}, {"_id": "b", "text": "two dogs"}])
        db.text_index("texts", ["text"], analyzer="english")
        found = await db.search("texts", "dog", include_docs=True, highlight_fields=["text"])
        assert found == db.database.search("texts", "dog", include_docs=True, highlight_fields=["text"])
        assert [row["highlights"] for row in found["rows"]] == [{"text": ["two <em>dogs</em>"]}]
        assert (await db.search_info("texts"))["search_index"]["doc_count"] == 2
        assert await db.search_analyze("keyword", "A b") == {"tokens": ["A b"]}


def test_an_index_lives_in_the_file(tmp_path):
    path = tmp_path / "a.couchette"
    for update in (True, False):
        with Database(path) as db:
            if update:
                db.put({"_id": "a", "text": "fox"})
            db.text_index("texts", ["text"])
            assert db.search("texts", "fox", update=update)["total_rows"] == 1


def test_a_file_with_text_indexes_is_verified_and_dumped(tmp_path):
    with Database(tmp_path / "a.couchette") as db:
        db.put({"_id": "a", "text": "fox"})
        db.text_index("texts", ["text"])
        db.search("texts", "fox")
        db.compact()
        assert db.verify() == []
        assert db.search("texts", "fox")["total_rows"] == 1


def test_inside_a_transaction_a_search_sees_what_was_written(db):
    db.text_index("texts", ["text"])
    db.put({"_id": "a", "text": "fox"})
    assert db.search("texts", "fox")["total_rows"] == 1
    with db.transaction():
        with suppress(ZeroDivisionError), db.transaction():
            db.put({"_id": "b", "text": "fox"})
            assert db.search("texts", "fox")["total_rows"] == 2
            raise ZeroDivisionError
        assert db.search("texts", "fox")["total_rows"] == 1
    assert db.search("texts", "fox")["total_rows"] == 1


def test_several_threads_may_build_one_index_at_once(tmp_path):
    with Database(tmp_path / "a.couchette") as db, ThreadPoolExecutor(4) as threads:
        db.bulk_docs([{"_id": f"d{at:04d}", "text": f"fox {at}"} for at in range(1200)])
        db.text_index("texts", ["text"])
        found = threads.map(lambda _: db.search("texts", "fox")["total_rows"], range(4))
        assert list(found) == [1200] * 4


def test_after_close_a_search_says_so():
    db = Database()
    db.text_index("texts", ["text"])
    db.close()
    with pytest.raises(DatabaseClosed):
        db.search("texts", "fox")


@pytest.mark.slow
def test_declaring_an_index_needs_no_extra():
    program = """if True:
        import sys
        sys.modules["luqum"] = sys.modules["Stemmer"] = None
        import couchette
        with couchette.Database() as db:
            db.text_index("texts", ["text"])
            try:
                db.search("texts", "fox")
            except couchette.errors.MissingExtra as exc:
                print(exc)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'couchette[search]'" in done.stdout
