"""Documents of every awkward kind, written through a peer's own interface."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Protocol

ODD_IDS = [
    *("plain", "a/b", "a+b c", "100%", "%2F", "é", "e\u0301", "日本", "😀", "?x=1#y", '"quoted"', "\\", "~"),
    *(
        "it's",
        "a_b",
        "a&b=c;d,e",
        "<a>",
        "[1]{2}",
        "a:b@c",
        "a..b",
        "../up",
        " spaced ",
        "tab\tline\nfeed",
        "//",
        "a//b/",
    ),
    *(
        "%",
        "%zz",
        "+",
        "\u00a0\u2028\ufeff",
        "0",
        "-1",
        "null",
        "constructor",
        "hasOwnProperty",
        "*",
        "|^`",
        "x" * 1000,
    ),
]
ODD_NAMES = [
    *("a.txt", "dir/b.bin", "c+d e", "100%", "ü😀.txt", "?#", "%2F", '"quoted"', "it's", "a_b", "a&b=c;d,e", "\\"),
    *(" spaced ", "<a>[1]", "tab\there", "n" * 300),
]
HARDER_IDS = [".", "..", "./a", "nul\0nul", "\x01\x7f"]
HARDER_NAMES = ["..", ".", "a/../b", "nul\0nul"]
"""Not for PouchDB's own replicator: it asks for them by URLs that lead elsewhere."""


class Writable(Protocol):
    def bulk_docs(self, docs: list[Any], *, new_edits: bool = True) -> Any: ...


def data(text: str) -> str:
    return b64encode(text.encode()).decode()


def revision(doc_id: str, path: str, **fields: Any) -> dict[str, Any]:
    """A document at the head of ``path``, its history newest first: ``"2-b 1-a"``."""
    revs = path.split()
    revisions = {"start": int(revs[0].partition("-")[0]), "ids": [rev.partition("-")[2] for rev in revs]}
    return {"_id": doc_id, "_rev": revs[0], "_revisions": revisions, **fields}


def fill(peer: Writable, side: str, *, harder: bool = False) -> None:
    """Write the documents; ``side`` tells the revisions of two replicas apart, ``harder`` adds names for the sturdy."""
    text = f"from {side}"
    attachments = {
        name: {"content_type": "text/plain" if number % 2 else "image/png", "data": data(name + side)}
        for number, name in enumerate([*ODD_NAMES, *(HARDER_NAMES if harder else [])])
    }
    ids = [*ODD_IDS, *(HARDER_IDS if harder else [])]
    made = peer.bulk_docs(
        [
            *({"_id": doc_id, "text": text, "nested": {"list": [1, "two", None, True]}} for doc_id in ids),
            {"_id": f"_design/{side}", "views": {"v": {"map": "function (doc) { emit(doc._id) }"}}},
            {"_id": f"_design/{side}/x", "language": "javascript"},
            {"_id": f"attached/{side}", "_attachments": attachments},
            {"_id": f"deleted on {side}"},
        ]
    )
    assert all(row.get("ok") for row in made), made
    peer.bulk_docs([{"_id": f"deleted on {side}", "_rev": made[-1]["rev"], "_deleted": True}])
    path = f"2-{side}b 1-a"
    refused = peer.bulk_docs(
        [
            revision("conflicted", path, text=text),
            revision("conflicted", f"3-{side}d 2-{side}c 1-a", text=text),
            revision("conflicted", f"3-{side}e 2-{side}c 1-a", _deleted=True),
            revision("gone", f"2-{side} 1-a", _deleted=True, text=text),
            revision("roots", f"7-{side} 6-r", text=text),
        ],
        new_edits=False,
    )
    assert not [row for row in refused or [] if "error" in row], refused


def fork_attachment(peer: Writable, side: str) -> None:
    """Write a leaf of a document that both replicas have, with an attachment of one name and two contents.

    Not for PouchDB's own replicator: pulling a second leaf, it takes the attachment of the winner for it.
    """
    attachments = {"f": {"content_type": "text/plain", "data": data(side)}}
    peer.bulk_docs([revision("forked", f"1-{side}", _attachments=attachments)], new_edits=False)
