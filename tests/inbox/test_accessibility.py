"""Every page in both colour schemes, looked at by axe-core: what it can tell of WCAG 2.2 AA."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.inbox.conftest import Desk
from tests.inbox.pages import change, create, say

OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
OF_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
PAGES = [
    "/inbox",
    "/inbox?status=open&waiting=yes",
    "/inbox?q=nothing",
    "/inbox/TICKET",
    "/inbox/new",
    "/inbox/settings",
    "/inbox/no-such-page",
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("accessibility"))
    desk.ticket = create(desk, subject="Urgent", body="See https://example.com/ for more.")
    for priority, status in (("low", "open"), ("medium", "pending"), ("high", "solved"), ("urgent", "closed")):
        change(desk, create(desk, subject=f"Another one, {status}"), priority=priority, status=status)
    change(desk, desk.ticket, priority="urgent", status="pending")
    say(desk, desk.ticket, "A reply", direction="outbound", senderEmail="ann@example.com")
    say(desk, desk.ticket, "HTML", bodyHtml="<p>HTML</p>")
    desk.workspace("Sales")
    yield desk
    desk.stop()


def violations(page):
    """All of them in light colours, and those of the colours in dark ones too."""
    found = []
    for scheme, options in (("dark", OF_COLOURS), ("light", OPTIONS)):
        page.emulate_media(color_scheme=scheme)
        found += Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {one['help']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def test_no_page_has_a_violation(desk, browse):
    page = browse(desk)
    for path in PAGES:
        page.goto(path.replace("TICKET", desk.ticket))
        assert violations(page) == [], path
    page.keyboard.press("?")
    assert violations(page) == [], "the keys"
    page.goto(f"/inbox/{desk.ticket}")
    say(desk, desk.ticket, "Meanwhile")
    page.locator("#body").fill("Too late")
    page.get_by_role("button", name="Send", exact=True).click()
    page.locator(".notice").wait_for()
    assert violations(page) == [], "a notice"


def test_signing_in_has_none(desk, browse):
    page = browse(desk, signed_in=False)
    for path in ("/inbox/sign-in", desk.link(), desk.link(asks_password=True), "/inbox/sign-in/none"):
        page.goto(path)
        assert violations(page) == [], path


def test_what_one_clicks_is_large_enough_and_what_one_tabs_to_is_seen(desk, browse):
    page = browse(desk, viewport={"width": 375, "height": 700})
    for path in PAGES:
        page.goto(path.replace("TICKET", desk.ticket))
        small = page.evaluate(
            """[...document.querySelectorAll("button, select, input:not([type=hidden]), summary, .tabs a, .pages a")]
            .filter((one) => one.offsetParent && Math.min(one.offsetWidth, one.offsetHeight) < 24)
            .map((one) => one.outerHTML)"""
        )
        assert small == [], path
