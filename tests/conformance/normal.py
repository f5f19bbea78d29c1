"""Answers as data that can be compared: bodies parsed, and what two servers cannot have in common replaced."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

WORD = re.compile(r"<[a-z]+>")
HASH = re.compile(r"\b[0-9a-f]{40}\b")
BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
DOCUMENT_ETAG = re.compile(r'"\d+-[^"]*"')
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")

WORDS_OF_MEMBERS = {
    "<seq>": "seq last_seq update_seq purge_seq source_last_seq recorded_seq start_last_seq end_last_seq "
    "committed_update_seq",
    "<time>": "instance_start_time",
    "<date>": "start_time end_time",
    "<id>": "uuid git_sha session_id replication_id",
    "<n>": "disk_format_version execution_time_ms total_keys_examined total_docs_examined waiting_clients",
    "<hash>": "signature",
    "<secret>": "derived_key salt iterations pbkdf2_prf",
    "<any>": "version features vendor mrargs opts index_candidates selector_hints stack compact_running "
    "waiting_commit updater_running updates_pending collator_versions",
}
MEMBERS = {member: word for word, members in WORDS_OF_MEMBERS.items() for member in members.split()}
PART_HEADERS = re.compile("content-(type|disposition|length|encoding|range)|x-(doc|rev)-id")


class Normal:
    """Normalises one exchange's answer.

    Args:
        placeholders: text of an answer to the placeholder that a recording has for it, longest first.
        norm: the exchange's own list of members that do not matter.
    """

    def __init__(self, placeholders: Mapping[str, str], norm: Sequence[str] = ()) -> None:
        self.placeholders = placeholders
        self.ignored = {name for name in norm if ":" not in name}
        self.sorted = [name.partition(":")[2] for name in norm if name.startswith("sorted:")]
        self.exact_etag = "exact-etag" in norm

    def text(self, text: str) -> str:
        """Text with placeholders, and without generated hashes."""
        for actual, placeholder in self.placeholders.items():
            text = text.replace(actual, placeholder)
        return HASH.sub("<hash>", text)

    def value(self, value: Any, member: str = "") -> Any:
        """A JSON value."""
        if value is not None:
            if member in self.ignored:
                return "<any>"
            if member in MEMBERS:
                return MEMBERS[member]
        match value:
            case str():
                return "<bookmark>" if member == "bookmark" and value != "nil" else self.text(value)
            case list():
                return ["<uuid>"] * len(value) if member == "uuids" else [self.value(item) for item in value]
            case dict() if member == "sizes":
                return dict.fromkeys(value, "<n>")
            case dict():
                # The number that CouchDB logs an internal error under; we have neither.
                return {
                    self.text(k): self.value(v, k) for k, v in value.items() if (k, "error" in value) != ("ref", True)
                }
        return value

    def framed(self, text: str) -> str:
        """A feed whose framing is compared."""
        return re.sub(r'"(seq|last_seq)":"[^"]*"', r'"\1":"<seq>"', self.text(text))

    def header(self, name: str, value: str) -> str:
        """A header's value."""
        if name == "etag":
            is_rev = DOCUMENT_ETAG.fullmatch(value) and "rev" not in self.ignored
            return value if is_rev or self.exact_etag else "<etag>"
        if name == "set-cookie":
            value = re.sub(r"AuthSession=[^;]+", "AuthSession=<cookie>", value)
            return re.sub(r"Expires=[^;]+", "Expires=<date>", value)
        if name == "content-type":
            return BOUNDARY.sub("boundary=<boundary>", value)
        return self.text(value)

    def body(self, content: bytes, headers: Mapping[str, str], how: str | None = None) -> dict[str, Any]:
        """A body under the key that says what it is: json, text, base64 or multipart; nothing when it is empty."""
        kind = headers.get("content-type", "")
        if how == "text":
            return {"text": self.framed(content.decode())}
        if headers.get("content-encoding") == "gzip" and content:
            content = gzip.decompress(content)
        if not content:
            return {}
        if kind.startswith("multipart/"):
            return {"multipart": self._parts(content, kind)}
        if kind.startswith(("application/json", "text/plain", "text/html")):
            try:
                value = self.value(json.loads(content))
            except ValueError:
                pass
            else:
                for member in self.sorted:
                    value[member].sort(key=lambda item: json.dumps(item, sort_keys=True))
                return {"json": value}
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = "\0"
        return {"base64": base64.b64encode(content).decode()} if CONTROL.search(text) else {"text": self.framed(text)}

    def _parts(self, content: bytes, content_type: str) -> list[dict[str, Any]]:
        found = BOUNDARY.search(content_type)
        assert found, f"no boundary in {content_type!r}"
        first, *chunks, last = (b"\r\n" + content).split(b"\r\n--" + found[1].encode())
        assert (first, last[:2]) == (b"", b"--"), "the body is not framed by its boundary"
        return [self._part(chunk) for chunk in chunks]

    def _part(self, chunk: bytes) -> dict[str, Any]:
        head, _, content = chunk.partition(b"\r\n\r\n")
        pairs = (line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        headers = {name.lower(): value for name, value in pairs}
        shown = {name: self.header(name, value) for name, value in headers.items() if PART_HEADERS.fullmatch(name)}
        if headers.get("content-encoding") == "gzip":
            shown.pop("content-length", None)
        return {"headers": shown, **self.body(content, headers)}


def difference(recorded: Any, actual: Any, where: str = "") -> str | None:
    """The first difference between a recorded value and a normalised one, or None."""
    if isinstance(recorded, str) and WORD.fullmatch(recorded) and actual is not None:
        return None
    match recorded, actual:
        case dict(), dict():
            for key in {**recorded, **actual}:
                if (key in recorded) != (key in actual):
                    return f"{where}.{key} is only in {'the recording' if key in recorded else 'our answer'}"
                if found := difference(recorded[key], actual[key], f"{where}.{key}"):
                    return found
            return None
        case list(), list():
            if len(recorded) != len(actual):
                return f"{where} has {len(actual)} items, not {len(recorded)}"
            pairs = enumerate(zip(recorded, actual, strict=True))
            return next(filter(None, (difference(a, b, f"{where}[{i}]") for i, (a, b) in pairs)), None)
        case ((int() | float()), (int() | float())) if bool not in (type(recorded), type(actual)):
            same = recorded == actual or math.isclose(recorded, actual, rel_tol=1e-9)
        case _:
            same = type(recorded) is type(actual) and recorded == actual
    return None if same else f"{where} is {_shown(actual)}, not {_shown(recorded)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 200 else text[:200] + "…"
