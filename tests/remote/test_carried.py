"""A line that is not the network fails as the network does."""

from __future__ import annotations

from dataclasses import replace

import anyio
import httpx
import pytest

from couchette import surroundings
from couchette.remote import carried

pytestmark = pytest.mark.anyio


class Answer:
    """A head and what its body does."""

    status = 200
    headers = [(b"x", b"y")]  # noqa: RUF012

    def __init__(self, *pieces):
        self._pieces = list(pieces)
        self.closed = False

    async def read(self):
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            await anyio.sleep_forever()
        return piece

    async def aclose(self):
        self.closed = True


class Carrier:
    """Answers, raises, or says nothing (None)."""

    def __init__(self, answer):
        self._answer = answer

    async def carry(self, request):
        self.request = request
        self.body = b"".join([chunk async for chunk in request.body])
        if isinstance(self._answer, Exception):
            raise self._answer
        if self._answer is None:
            await anyio.sleep_forever()
        return self._answer


async def send(carrier, **options):
    with surroundings.replaced(replace(surroundings.current(), carrier=carrier)):
        transport = carried.transport()
    async with httpx.AsyncClient(transport=transport, timeout=0.01) as client:
        return await client.post("http://office/a%2Fb?x=%20", content=b"body", **options)


def test_the_network_is_the_default():
    assert carried.transport() is None


async def test_a_request_and_its_answer_arrive_as_they_are():
    carrier, answer = Carrier(Answer(b"con", b"tent")), None
    answer = await send(carrier)
    assert (answer.status_code, answer.headers["x"], answer.content) == (200, "y", b"content")
    assert (carrier.request.method, carrier.request.url, carrier.body) == ("POST", "http://office/a%2Fb?x=%20", b"body")
    assert carrier._answer.closed


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (ConnectionRefusedError(), httpx.ConnectError),
        (ConnectionResetError(), httpx.ReadError),
        (None, httpx.ReadTimeout),
    ],
)
async def test_a_bad_line_raises_what_httpx_raises(failure, raised):
    with pytest.raises(raised):
        await send(Carrier(failure))


@pytest.mark.parametrize(("failure", "raised"), [(ConnectionResetError(), httpx.ReadError), (None, httpx.ReadTimeout)])
async def test_so_does_one_that_breaks_in_the_body(failure, raised):
    answer = Answer(b"a", failure)
    with pytest.raises(raised):
        await send(Carrier(answer))
    assert answer.closed
