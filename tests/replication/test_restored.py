"""Databases that are not what they were: restored from a copy, or made anew. Nothing is taken for moved that is not."""

from __future__ import annotations

import shutil

import pytest

import couchette
from couchette import Database


@pytest.fixture
def files(tmp_path):
    """The files of a source and a target that replicated once, with copies of both from that day."""
    source, target = tmp_path / "source.couchette", tmp_path / "target.couchette"
    with Database(source) as db:
        db.bulk_docs([{"_id": f"early {number}"} for number in range(3)])
    couchette.replicate(source, target)
    for file in (source, target):
        shutil.copy(file, file.with_suffix(".copy"))
    return {"source": source, "target": target}


def ids(file):
    with Database(file) as db:
        return set(db)


def write(file, *doc_ids):
    with Database(file) as db:
        db.bulk_docs([{"_id": doc_id} for doc_id in doc_ids])


def replicate(files):
    return couchette.replicate(files["source"], files["target"])


@pytest.mark.parametrize("side", ["source", "target"])
def test_what_a_restored_side_forgot_is_compared_again(files, side):
    write(files["source"], "lost 1", "lost 2")
    replicate(files)
    shutil.copy(files[side].with_suffix(".copy"), files[side])
    write(files["source"], "new 1", "new 2")
    assert replicate(files).ok
    assert ids(files["source"]) <= ids(files["target"])
    assert replicate(files).missing_checked == 0


def test_both_sides_restored_go_on_from_that_day(files):
    write(files["source"], "lost")
    replicate(files)
    for file in files.values():
        shutil.copy(file.with_suffix(".copy"), file)
    write(files["source"], "new")
    result = replicate(files)
    assert (result.docs_written, result.start_seq != 0) == (1, True)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_side_made_anew_is_a_new_beginning(files, side):
    write(files["source"], "more")
    replicate(files)
    files[side].unlink()
    write(files["source"], "newest")
    result = replicate(files)
    assert result.start_seq == 0
    assert ids(files["source"]) <= ids(files["target"])
