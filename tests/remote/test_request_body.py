"""The body of a request: given from the beginning each time, and closed wherever its reading stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from couchette.remote.request_body import Body, RequestBody

pytestmark = pytest.mark.anyio


async def read(body: RequestBody) -> list[bytes]:
    return [piece async for piece in body]


@pytest.mark.parametrize(("content", "pieces"), [(b"text", [b"text"]), (b"", []), (None, [])])
async def test_a_whole_body_is_one_piece_each_time(content: Body | None, pieces: list[bytes]):
    body = RequestBody(content)
    assert [await read(body), await read(body)] == [pieces, pieces]
    await body.aclose()


async def test_a_stream_is_made_anew_each_time_and_closed_where_its_reading_stopped():
    closed = []

    async def stream() -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            yield b"two"
        finally:
            closed.append(True)

    body = RequestBody(stream)
    assert await read(body) == [b"one", b"two"]
    assert await anext(aiter(body)) == b"one"
    await body.aclose()
    assert closed == [True, True]
