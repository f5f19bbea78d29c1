"""Visits pages in process, as a browser without scripts would: it keeps cookies, follows links and sends forms."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from tests.server.asgi import HOST, Answer, Exchange, scope

PIECE_BYTES = 300_000
VOID = frozenset(("area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"))


class Element:
    """An element of a page, with what it holds."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: Element | None) -> None:
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.content: list[Element | str] = []

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """All elements below with this tag and these attributes, in order."""
        found = []
        for one in self.content:
            if isinstance(one, Element):
                if one.tag == tag and all(one.attributes.get(key) == value for key, value in attributes.items()):
                    found.append(one)
                found += one.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """The text of the element, its spaces as a browser shows them."""
        parts = (one if isinstance(one, str) else one.raw_text for one in self.content)
        return " ".join("".join(parts).split())

    @property
    def raw_text(self) -> str:
        """The text as it is written."""
        return "".join(one if isinstance(one, str) else one.raw_text for one in self.content)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("", {}, None)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs}, self.at)
        self.at.content.append(element)
        if tag not in VOID:
            self.at = element

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"<{self.at.tag}> is closed by </{tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.at.content.append(Element(tag, {key: value or "" for key, value in attrs}, self.at))

    def handle_data(self, data: str) -> None:
        self.at.content.append(data)


class Page:
    """An answer that is a page. Its tags must match."""

    def __init__(self, answer: Answer, target: str) -> None:
        self.status, self.headers = answer.status, answer.headers
        self.target = target
        self.html = answer.body.decode()
        reader = _Reader()
        reader.feed(self.html)
        assert reader.at is reader.root, f"<{reader.at.tag}> is not closed"
        self.root = reader.root

    @property
    def text(self) -> str:
        """All that the page shows, within its body."""
        (body,) = self.root.all("body")
        return body.text

    @property
    def heading(self) -> str:
        """The first heading."""
        return self.root.all("h1")[0].text

    @property
    def said(self) -> str:
        """What was said of the last act, or of an error; empty where nothing was."""
        return " ".join(one.text for tag in ("p", "div") for one in self.root.all(tag) if "said" in _classes(one))

    def link(self, text: str) -> str:
        """Where the first link with this text leads."""
        return next(one.attributes["href"] for one in self.root.all("a") if one.text == text)

    def texts(self, tag: str, css_class: str | None = None) -> list[str]:
        """The texts of these elements."""
        return [one.text for one in self.root.all(tag) if css_class is None or css_class in _classes(one)]

    def form(self, button: str) -> Element:
        """The form with this button."""
        return next(form for form in self.root.all("form") if button in [one.text for one in form.all("button")])


def _classes(element: Element) -> list[str]:
    return element.attributes.get("class", "").split()


class _Sending(Exchange):
    """A request whose body comes in pieces, as servers receive it."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        pieces = [body[start : start + PIECE_BYTES] for start in range(0, len(body), PIECE_BYTES)] or [b""]
        self._requests = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ][::-1]


class Browser:
    """A browser with one tab, signed in as whom its cookies say."""

    def __init__(self, app: Any, root: str = "/_utils/") -> None:
        self.app = app
        self.root = root
        self.cookies: dict[str, str] = {}

    async def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """One request with the cookies, whose answer may set others."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        exchange = _Sending(body)
        try:
            sent = {**({"cookie": cookie} if cookie else {}), **(headers or {})}
            await self.app(scope(method, target, sent), exchange.receive, exchange.send)
            status, shown = await exchange.start()
            answer = Answer(status, shown, await exchange.rest())
        finally:
            exchange.close()
        for name, value, rest in re.findall(
            r"(?:^|\n)([\w-]+)=([^;\n]*)([^\n]*)", answer.headers.get("set-cookie", "")
        ):
            if "Max-Age=0" in rest or not value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    async def open(self, target: str = "", **about: str) -> Page:
        """The page at a path of the server, or below the root, after all redirections."""
        if not target.startswith("/"):
            target = self.root + target
        if about:
            target += "?" + urlencode(about)
        answer = await self.ask("GET", target)
        while answer.status in (301, 302, 303):
            target = answer.headers["location"]
            answer = await self.ask("GET", target)
        return Page(answer, target)

    async def send(
        self, page: Page, button: str, files: dict[str, tuple[str, str, bytes]] | None = None, **typed: str
    ) -> Page:
        """Fill in the form with this button, press it, and follow where it leads. Files are (name, type, content)."""
        form = page.form(button)
        inputs = [one for one in form.all("input") if "name" in one.attributes]
        fields = {
            one.attributes["name"]: one.attributes.get("value", "")
            for one in inputs
            if one.attributes.get("type") != "checkbox" or "checked" in one.attributes
        }
        fields |= {one.attributes["name"]: one.raw_text.removeprefix("\n") for one in form.all("textarea")}
        pressed = next(one for one in form.all("button") if one.text == button)
        if "name" in pressed.attributes:
            fields[pressed.attributes["name"]] = pressed.attributes["value"]
        others = {one.attributes["name"] for one in (*inputs, *form.all("select"))}
        assert not set(typed) - set(fields) - others, f"no such field: {typed}"
        fields |= typed
        action = form.attributes["action"]
        if form.attributes.get("method") != "post":
            query = urlencode(fields)
            return await self.open(f"{action.partition('?')[0]}?{query}")
        if form.attributes.get("enctype") == "multipart/form-data":
            content_type, body = _multipart(fields, files or {})
        else:
            content_type, body = "application/x-www-form-urlencoded", urlencode(fields).encode()
        headers = {"content-type": content_type, "origin": f"http://{HOST}"}
        answer = await self.ask("POST", action, headers, body)
        return await self.open(answer.headers["location"]) if answer.status == 303 else Page(answer, action)


def _multipart(fields: dict[str, str], files: dict[str, tuple[str, str, bytes]]) -> tuple[str, bytes]:
    parts = [
        b'--XX\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value.encode())
        for name, value in fields.items()
        if name not in files
    ]
    for name, (filename, content_type, content) in files.items():
        disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
        head = f"--XX\r\n{disposition}\r\nContent-Type: {content_type}\r\n\r\n"
        parts.append(head.encode() + content + b"\r\n")
    return "multipart/form-data; boundary=XX", b"".join([*parts, b"--XX--\r\n"])
