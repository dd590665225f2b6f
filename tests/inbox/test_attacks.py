"""Attacks by what people write: scripts in every field of every page, and HTML that tries to break out of its frame."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest

from tests.inbox.conftest import Desk
from tests.inbox.pages import create, say

# Each would leave its mark if it ran, in text, in an attribute, in a script, in an address.
MARK = "window.attacked=1"
SCRIPTS = (
    f"\"'></textarea></title></script><script>{MARK}</script><img src=x onerror={MARK}>"
    f"<svg onload={MARK}>{{{{7*7}}}}javascript:{MARK}"
)
LINK = f"https://example.com/\"onmouseover={MARK}//'onclick={MARK}//<script>{MARK}</script>"
SHORT = f"<img src=x onerror={MARK}>"
POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class Elsewhere(BaseHTTPRequestHandler):
    """Another site, which remembers what it was asked for."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        if self.path != "/favicon.ico":
            self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("attacks"))
    desk.workspace(SCRIPTS)
    desk.evil = desk.user("Eve")
    with desk.database.write() as tx:
        tx.all("UPDATE users SET name = ?", (SCRIPTS,))
    desk.made = create(
        desk, subject=SHORT + SCRIPTS[:200], customerName=SCRIPTS, body=SCRIPTS + " " + LINK, source=SHORT
    )
    other = create(desk, subject=SCRIPTS[:250], customerName=SCRIPTS)
    say(desk, desk.made, SCRIPTS, senderName=SCRIPTS, bodyHtml=SCRIPTS)
    with desk.database.write() as tx:
        tx.all("UPDATE tickets SET tags = ?, assigned_to = ?", ('["\\"><script>window.attacked=1</script>"]', SHORT))
        tx.all("UPDATE events SET done_by = ?, details = ? WHERE type = 'message.created'", (SHORT, None))
        change = json.dumps({"changes": {"assignedTo": {"from": SHORT, "to": SHORT}}})
        tx.all(
            "INSERT INTO events (id, type, ticket, details, done_by, created_at) "
            "SELECT 'evt_1', 'ticket.updated', seq, ?, ?, created_at FROM tickets",
            (change, SHORT),
        )
    desk.other = other
    yield desk
    desk.stop()


@pytest.mark.parametrize(
    "path",
    [
        "/inbox",
        f"/inbox?q={quote(SCRIPTS)}",
        f"/inbox?status={quote(SCRIPTS)}&assignee={quote(SHORT)}&before={quote(SHORT)}",
        f"/inbox?workspace={quote(SCRIPTS)}",
        "/inbox/TICKET",
        f"/inbox/TICKET?sent={quote(SCRIPTS)}",
        "/inbox/TICKET/news?after=0",
        f"/inbox/news?after=0&q={quote(SCRIPTS)}",
        f"/inbox/{quote(SCRIPTS, safe='')}",
        "/inbox/new",
        "/inbox/settings",
    ],
)
def test_no_script_runs_in_any_field_of_any_page(desk, browse, path):
    page = browse(desk, desk.evil)
    refused = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else 0)
    page.goto(path.replace("TICKET", desk.made))
    for one in page.locator(".body a, .row, details summary").all():
        one.hover()
    assert page.evaluate("window.attacked") is None
    assert (
        page.evaluate("document.querySelectorAll('body script, svg, img[onerror], [onload], [onmouseover]').length")
        == 0
    )
    assert refused == []  # it was text, and the policy had nothing to do
    assert "49" not in page.title()


def test_no_script_runs_in_what_is_sent_back_by_a_form(desk, browse):
    page = browse(desk)
    page.goto("/inbox/new")
    page.evaluate("document.querySelectorAll('form')[2].noValidate = true")
    for name in ("customerEmail", "customerName", "subject", "body"):
        page.locator(f"[name={name}]").fill(SCRIPTS)
    page.get_by_role("button", name="Make the ticket").click()
    page.locator(".wrong").first.wait_for()
    assert page.locator("[name=subject]").input_value() == SCRIPTS
    assert page.evaluate("window.attacked") is None


def test_a_draft_comes_back_as_text(desk, browse):
    page = browse(desk)
    page.goto(f"/inbox/{desk.other}")
    page.locator("#body").fill(SCRIPTS)
    page.reload()
    assert page.locator("#body").input_value() == SCRIPTS
    assert page.evaluate("window.attacked") is None


# HTML of a message


def html(elsewhere):
    """What a mail may try, each to another address of the other site."""
    return f"""
    <base href="{elsewhere}/base/"><link rel=stylesheet href="{elsewhere}/style">
    <link rel=preload as=image href="{elsewhere}/preload">
    <link rel=preconnect href="{elsewhere}">
    <meta http-equiv=refresh content="0; url={elsewhere}/refresh">
    <meta http-equiv=Content-Security-Policy content="script-src *">
    <style>@import "{elsewhere}/import"; p {{ background: url({elsewhere}/background) }}</style>
    <p style="color: rgb(1, 2, 3)">Styled</p><img src="{elsewhere}/image">
    <img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
    <picture><source srcset="{elsewhere}/source"><img src="x"></picture><video src="{elsewhere}/video" autoplay></video>
    <iframe src="{elsewhere}/iframe"></iframe><object data="{elsewhere}/object"></object><embed src="{elsewhere}/embed">
    <script>parent.{MARK}; top.location = "{elsewhere}/top"; fetch("{elsewhere}/fetch")</script>
    <script src="{elsewhere}/script"></script>
    <img src=x onerror="parent.{MARK}"><svg onload="parent.{MARK}"></svg>
    <form action="{elsewhere}/form" method=post><input name=x autofocus onfocus="parent.{MARK}">
    <button id=send>Send</button></form>
    <form action="/inbox/sign-out" method=post><button id=out>Out</button></form>
    <a id=top href="{elsewhere}/target" target=_top>Top</a> <a id=script href="javascript:parent.{MARK}">Script</a>
    <a id=link href="{elsewhere}/link">Link</a>
    """


@pytest.fixture
def mail(desk, elsewhere):
    """The path of a message's HTML."""
    Elsewhere.asked.clear()
    ticket = create(desk, subject="Mail")
    return f"/inbox/{ticket}", f"/inbox/{ticket}/{say(desk, ticket, 'Mail', bodyHtml=html(elsewhere))}.html"


def test_its_policy_is_its_own(desk, mail):
    with desk.client() as client:
        answer = client.get(mail[1])
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-DNS-Prefetch-Control"] == "off"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        pictures = client.get(f"{mail[1]}?pictures=show").headers["Content-Security-Policy"]
        assert pictures == POLICY.replace("img-src data:", "img-src https: data:")
        assert client.get(mail[1].replace("msg_", "msg_x")).status_code == 404


def test_it_cannot_break_out_of_its_frame(desk, browse, mail):
    page = browse(desk)
    page.goto(mail[0])
    assert page.frames[1:] == [] or page.frames[1].url in ("", "about:blank", ":")  # not loaded before it is asked for
    page.locator("summary").click()
    frame = page.frame_locator("iframe")
    frame.get_by_text("Styled").wait_for()
    assert frame.get_by_text("Styled").evaluate("e => getComputedStyle(e).color") == "rgb(1, 2, 3)"
    frame.locator("#send").click()
    frame.locator("#out").click()
    frame.locator("#script").click()
    frame.locator("#top").click()
    page.wait_for_timeout(300)
    assert page.evaluate("window.attacked") is None
    assert page.url.endswith(mail[0])
    assert Elsewhere.asked in ([], ["/target"])  # which opens a tab of its own at most
    assert page.request.get("/inbox").ok  # signed in as before


def test_its_links_open_in_a_tab_of_their_own_which_knows_nothing_of_ours(desk, browse, mail):
    page = browse(desk)
    page.goto(mail[0])
    page.locator("summary").click()
    with page.context.expect_page() as opened:
        page.frame_locator("iframe").locator("#link").click()
    opened.value.wait_for_load_state()
    assert Elsewhere.asked == ["/link"]
    assert opened.value.evaluate("[window.opener, document.referrer]") == [None, ""]


def test_opened_directly_it_can_do_no_more(desk, browse, mail):
    page = browse(desk)
    page.goto(mail[1])
    page.get_by_text("Styled").wait_for()
    page.locator("#send").click()
    page.locator("#out").click()
    page.wait_for_timeout(300)
    assert Elsewhere.asked == []
    assert page.url.endswith(mail[1])
    assert page.evaluate("self.origin") == "null"
    assert page.request.get("/inbox").ok


def test_no_other_site_frames_it(desk, browse, mail, elsewhere):
    page = browse(desk)
    page.goto(f"{elsewhere}/")
    page.set_content(f'<iframe src="{desk.url}{mail[1]}"></iframe><iframe src="{desk.url}{mail[0]}"></iframe>')
    page.wait_for_timeout(500)
    for frame in page.frames[1:]:
        assert frame.url.startswith("chrome-error://") or frame.content().count("Styled") == 0
