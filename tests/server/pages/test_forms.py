"""Forms of other sites are refused, and answers carry what keeps scripts out."""

from __future__ import annotations

import pytest

from couchette import Environment
from tests.server.asgi import HOST
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_a_form_without_the_token_of_the_page_is_refused(browser: Browser, environment: Environment) -> None:
    await browser.open()
    answer = await browser.ask("POST", "/_utils/databases/create", FORM, b"name=new")
    assert answer.status == 403
    assert "new" not in environment


async def test_a_token_without_its_cookie_is_refused(browser: Browser, environment: Environment) -> None:
    answer = await browser.ask("POST", "/_utils/databases/create", FORM, b"name=new&token=")
    assert answer.status == 403
    answer = await browser.ask("POST", "/_utils/databases/create", FORM, b"name=new&token=abc")
    assert answer.status == 403
    assert "new" not in environment


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://couch.example:80"])
async def test_a_form_from_another_origin_is_refused_even_with_the_token(
    browser: Browser, environment: Environment, origin: str
) -> None:
    await browser.open()
    body = f"name=new&token={browser.cookies['couchette-page']}".encode()
    answer = await browser.ask("POST", "/_utils/databases/create", {**FORM, "origin": origin}, body)
    assert answer.status == 403
    assert "new" not in environment
    answer = await browser.ask("POST", "/_utils/databases/create", {**FORM, "origin": f"https://{HOST}"}, body)
    assert answer.status == 303, "a proxy may end TLS"


async def test_a_form_in_another_format_is_refused(browser: Browser) -> None:
    answer = await browser.ask("POST", "/_utils/databases/create", {"content-type": "text/plain"}, b"name=new")
    assert answer.status == 415
    answer = await browser.ask("POST", "/_utils/databases/create", FORM, b"name=%ff")
    assert answer.status == 400


async def test_no_page_may_run_scripts_of_its_own_or_be_framed(browser: Browser) -> None:
    answer = await browser.ask("GET", "/_utils/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    cookie = answer.headers["set-cookie"]
    assert "SameSite=Strict" in cookie
    assert "HttpOnly" in cookie


async def test_files_of_the_page_may_be_kept_and_others_are_not_there(browser: Browser) -> None:
    page = await browser.open()
    (script,) = page.root.all("script")
    answer = await browser.ask("GET", script.attributes["src"])
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert (await browser.ask("GET", "/_utils/static/..%2Froutes.py")).status == 404


@pytest.mark.parametrize("host", ["[", "x]", "a/b", "a@b:c", "", "é"])
async def test_pages_are_answered_whatever_the_host_is_said_to_be(browser: Browser, host: str) -> None:
    assert (await browser.ask("GET", "/_utils/", {"host": host})).status == 200
    answer = await browser.ask("POST", "/_utils/databases/create", {**FORM, "host": host, "origin": "http://["}, b"")
    assert answer.status == 403


async def test_a_form_with_a_file_has_few_fields(browser: Browser, environment: Environment) -> None:
    rev = environment["db"].put({"_id": "d"})["rev"]
    await browser.open()
    field = "--b\r\nContent-Disposition: form-data; name={}\r\n\r\nx\r\n"
    for names in (["a", "a"], range(101)):
        body = "".join(field.format(name) for name in names) + "--b--\r\n"
        headers = {"content-type": "multipart/form-data; boundary=b"}
        answer = await browser.ask("POST", f"/_utils/attachment/upload?db=db&id=d&rev={rev}", headers, body.encode())
        assert answer.status == 400
        assert b"too many fields" in answer.body
