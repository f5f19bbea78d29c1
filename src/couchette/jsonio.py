"""JSON in and out, with CouchDB's exactness at the speed of C.

Reading: integers stay exact at any size, a repeated key keeps its last value at its last position
(``{"a":1,"b":2,"a":3}`` is ``{"b":2,"a":3}``; revision ids depend on that order), and whatever CouchDB
refuses is refused. msgspec reads as fast as orjson and keeps large integers, so it does the reading.
No decoder reports repeated keys at that speed; but a repeated key is lost with its colon, so the
value, written again, has fewer colons than the text. Only then is the text read once more, slowly.

Writing: orjson writes all that it can, which leaves three gaps. It raises beyond 64 bits and beyond
254 levels, it writes NaN and the infinities as ``null``, and it writes an Enum or a UUID as its plain
value (new edits refuse those: ``new_rev`` looks at every value). The slow writer fills the first two
gaps and is also what finds the path to a value that JSON cannot hold. Both slow paths keep their own
stack, because documents nest deeper than Python may recurse. What orjson returns sits in a buffer of
1 KiB or more whose rest malloc cannot give to the next one, so a batch of bodies would fault in a page
every few documents; copying each to its size is several times cheaper than that.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from couchette.errors import BadRequest
from couchette.limits import JSON_NESTING_MAX, JSON_NESTING_READ_MAX

INVALID_TEXT = "invalid UTF-8 JSON"
INVALID_VALUE = "The value is not JSON."

_STRICT = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_ATOMS = frozenset({str, int, bool, type(None)})
_TOKEN = re.compile(rb'[{}\[\],:]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}\[\],:"]+')
_LONG_DIGITS = 300
_INTEGER_CHARS_MAX = 4300  # What msgspec reads, a minus included.
_BACKSLASH = ord("\\")
_OPENERS = (b"[", b"{", b":")

_decode = msgspec.json.Decoder().decode


def loads(data: bytes | bytearray | memoryview | str) -> Any:
    """The value of a JSON text. Raises BadRequest for every text that CouchDB refuses.

    Reads what :func:`dumps` writes, with some levels of nesting to spare for an envelope.
    """
    try:
        text = data if type(data) is bytes else data.encode() if isinstance(data, str) else bytes(data)
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeError) as exc:
        raise BadRequest(INVALID_TEXT, f"{exc}.") from exc
    except RecursionError:
        return _loads_slowly(text, validate=True)
    try:
        again = orjson.dumps(value)
    except TypeError:  # An integer beyond 64 bits, or more than 254 levels.
        return _loads_slowly(text)
    if again == text:
        return value
    if again.count(b":") != text.count(b":") or (_BACKSLASH in text and rb"\u003" in text):
        return _loads_slowly(text)
    return value


def loads_leniently(text: bytes) -> Any:
    """The value of a text that :func:`loads` refuses for some of its strings, numbers or levels: those are U+FFFD.

    For the envelope around what others wrote. Raises BadRequest for what has not the structure of JSON either.
    """
    try:
        return _loads_slowly(text, decode=_decode_or_replace, levels_max=len(text))
    except (LookupError, TypeError, AttributeError) as exc:
        raise BadRequest(INVALID_TEXT, "Its brackets do not match.") from exc


def _decode_or_replace(token: bytes) -> Any:
    try:
        return _decode(token)
    except (msgspec.DecodeError, UnicodeError):
        return "\ufffd"


def dumps(value: Any) -> bytes:
    """The compact JSON text of a value, integers exact at any size.

    Raises BadRequest, with the path to the culprit, for what JSON cannot hold: NaN, infinities, lone
    surrogates, keys that are not str, objects of other types, and more levels than :func:`loads` reads.
    """
    return dumps_noting_exactness(value, levels_max=JSON_NESTING_READ_MAX)[0]


def dumps_noting_exactness(value: Any, *, levels_max: int = JSON_NESTING_MAX) -> tuple[bytes, bool]:
    """As :func:`dumps`, and whether orjson alone reads the text exactly."""
    text = dumps_unchecked(value)
    if text is None or hides_nan(value, text):
        return _dumps_slowly(value, levels_max)
    return text, True


def dumps_unchecked(value: Any) -> bytes | None:
    """The text of a value whose floats another look will find finite; None where :func:`dumps` must write it."""
    try:
        return b"%b" % orjson.dumps(value, None, _STRICT)
    except TypeError:
        return None


def dumps_all_unchecked(values: Iterable[Any]) -> list[bytes] | None:
    """What :func:`dumps_unchecked` is for each; None when that is None for any of them."""
    dumps = orjson.dumps
    try:
        return [b"%b" % dumps(value, None, _STRICT) for value in values]
    except TypeError:
        return None


def escaped(texts: Sequence[str]) -> list[bytes]:
    """The JSON text of each of these, without its quotes: all are written at once, which costs little more than one.

    There must be one at least.
    """
    written = orjson.dumps(texts)
    # Only what is escaped can hold what stands between two of them.
    return written[2:-2].split(b'","') if b"\\" not in written else [orjson.dumps(text)[1:-1] for text in texts]


def refusal(value: Any) -> BadRequest:
    """The error that :func:`dumps` raises for a value which JSON cannot hold."""
    try:
        _dumps_slowly(value, JSON_NESTING_MAX)
    except BadRequest as exc:
        return exc
    raise AssertionError(f"every part of {type(value).__name__} is JSON")


def _loads_slowly(
    text: bytes,
    *,
    validate: bool = False,
    decode: Callable[[bytes], Any] = _decode,
    levels_max: int = JSON_NESTING_READ_MAX,
) -> Any:
    """Read valid text token by token: repeated keys in CouchDB's order, integers exact, no recursion."""
    if validate:
        try:
            # Integers that are too large for a float would be refused.
            orjson.loads(_TOKEN.sub(_shortened, text))
        except orjson.JSONDecodeError as exc:
            raise BadRequest(INVALID_TEXT, f"{exc}.") from exc
    root: list[Any] = []
    stack: list[Any] = [root]
    keys: list[Any] = [None]  # Per open container: the key that waits for its value.
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in b":,":
            continue
        if token in b"]}":
            stack.pop()
            keys.pop()
            continue
        value = {} if token == b"{" else [] if token == b"[" else decode(token)
        container, key = stack[-1], keys[-1]
        if type(container) is list:
            container.append(value)
        elif key is None:
            keys[-1] = value
            continue
        else:
            container.pop(key, None)
            container[key] = value
            keys[-1] = None
        if token in b"{[":
            if len(stack) > levels_max:
                raise BadRequest(INVALID_TEXT, f"It nests deeper than {levels_max} levels.")
            stack.append(value)
            keys.append(None)
    if len(stack) != 1 or len(root) != 1:
        raise BadRequest(INVALID_TEXT, "Its brackets do not match.")
    return root[0]


def _shortened(match: re.Match[bytes]) -> bytes:
    """A token, or a short integer in the place of a very long one."""
    token = match[0]
    try:
        return b"0" if len(token) > _LONG_DIGITS and type(_decode(token)) is int else token
    except msgspec.DecodeError:
        return token


def hides_nan(value: Any, text: bytes) -> bool:
    """Whether :func:`dumps_unchecked` may have written ``null`` for a float that is not finite, or for worse.

    A ``null`` is nearly always a None right in the object: that is told first, and at the speed of C.
    """
    last = text.rfind(b"null")  # The fastest of the searches in CPython for this needle.
    if last < 0:
        return False
    if type(value) is dict:
        if text.rfind(b"null", 0, last) < 0 and None in value.values():
            return False
        if text.count(b"null") == len([1 for member in value.values() if member is None]):
            return False
    return _is_suspect(value)


def _is_suspect(value: Any) -> bool:
    """Whether a value that orjson wrote holds a non-finite float, or an object that may hide one."""
    todo: list[Any] = [(value,)]
    for container in todo:
        for member in container:
            kind = type(member)
            if kind in _ATOMS:
                continue
            if kind is float:
                if member - member:  # NaN for NaN and the infinities, else 0.0.
                    return True
            elif kind is dict:
                todo.append(member.values())
            elif kind is list or kind is tuple:
                todo.append(member)
            else:
                return True
    return False


def _dumps_slowly(value: Any, levels_max: int) -> tuple[bytes, bool]:
    """Write, or refuse with the path to the culprit; also whether orjson alone reads the text exactly."""
    parts: list[bytes] = []
    exact = True
    members: Iterator[tuple[Any, Any]] = iter((("", value),))
    stack: list[tuple[Iterator[tuple[Any, Any]], bytes]] = []  # Per open container: its parent's rest, its closing.
    path: list[Any] = []  # Per open container: its key or index in its parent.
    while True:
        for at, member in members:
            if parts and parts[-1] not in _OPENERS:
                parts.append(b",")
            if stack and stack[-1][1] == b"}":
                parts += (_key(at, path[1:]), b":")
            kind = type(member)
            if kind is dict or kind is list or kind is tuple:
                if len(stack) >= levels_max:
                    raise BadRequest(INVALID_VALUE, f"It nests deeper than {levels_max} levels, or holds itself.")
                stack.append((members, b"}" if kind is dict else b"]"))
                path.append(at)
                parts.append(b"{" if kind is dict else b"[")
                members = iter(member.items()) if kind is dict else enumerate(member)
                break
            parts.append(_atom(member, [*path[1:], at] if stack else []))
            exact = exact and (kind is not int or -(1 << 63) <= member < 1 << 64)
        else:
            if not stack:
                return b"".join(parts), exact
            members, closing = stack.pop()
            parts.append(closing)
            path.pop()


def _key(key: Any, path: list[Any]) -> bytes:
    """The JSON text of a member's name, or the error that says what is wrong with it."""
    if type(key) is str:
        return _string(key, path)
    remedy = "Convert it with str()." if isinstance(key, str | int | float | uuid.UUID) else "Only str names a member."
    raise _culprit(path, f"has the key {key!r}, of type {type(key).__name__}. {remedy}")


def _atom(value: Any, path: list[Any]) -> bytes:
    """The JSON text of a value without members, or the error that names its place and the remedy."""
    kind = type(value)
    if kind is str:
        return _string(value, path)
    if kind is int:
        try:
            text = b"%d" % value
        except ValueError as exc:  # CPython's sys.set_int_max_str_digits
            raise _too_long(path) from exc
        if len(text) > _INTEGER_CHARS_MAX:
            raise _too_long(path)
        return text
    if kind is bool or value is None or (kind is float and not value - value):
        return orjson.dumps(value)
    if kind is float:
        raise _culprit(path, f"is {value}, which JSON cannot hold. Store None or a string instead.")
    raise _culprit(path, f"is of type {kind.__name__}, which JSON cannot hold. {_remedy(value)}")


def _too_long(path: list[Any]) -> BadRequest:
    return _culprit(path, "has too many digits to be written. Store it as hex().")


def _string(text: str, path: list[Any]) -> bytes:
    try:
        return orjson.dumps(text)
    except TypeError as exc:
        raise _culprit(path, "has a lone surrogate, which UTF-8 cannot hold. Store bytes as base64 text.") from exc


def _culprit(path: list[Any], what: str) -> BadRequest:
    """The error about the value at a path, which it writes as Python does: ``a.b[3]``."""
    steps = (f".{at}" if isinstance(at, str) and at.isidentifier() else f"[{at!r}]" for at in path)
    return BadRequest(INVALID_VALUE, f"{''.join(steps).removeprefix('.') or 'The value'} {what}")


def _remedy(value: Any) -> str:
    for kinds, remedy in _REMEDIES:
        if isinstance(value, kinds):
            return remedy
    if dataclasses.is_dataclass(value):
        return "Store dataclasses.asdict() of it."
    return "Store str, int, float, bool, None, list and dict only."


_REMEDIES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (enum.Enum, "Store its value."),
    ((datetime.date, datetime.time), "Store its isoformat()."),
    (datetime.timedelta, "Store its total_seconds()."),
    ((uuid.UUID, decimal.Decimal), "Convert it with str()."),
    ((bytes, bytearray, memoryview), "Store it as an attachment, or as base64 text."),
    (str, "Convert it with str()."),
    (int, "Convert it with int()."),
    (float, "Convert it with float()."),
    (Mapping, "Convert it with dict()."),
    (Iterable, "Convert it with list()."),
)
