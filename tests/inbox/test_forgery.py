"""Pages of others in a real browser, on another port of this machine and under another name, against the inbox."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.inbox.conftest import CHROMIUM, CHROMIUM_OPTIONS

FORM = """<!doctype html><form method="post" action="{action}"><input name="on" value="on">
<button>Win a prize</button></form>"""
SENT_BY_SCRIPT = """async (to) => {
  const tries = [
    () => fetch(to, {method: "POST", credentials: "include", mode: "no-cors", body: new URLSearchParams({on: ""})}),
    () => fetch(to, {method: "POST", credentials: "include", body: "on=on"}),
    () => fetch(to, {method: "POST", credentials: "include", headers: {"X-Custom": "x"}}),
    () => Promise.resolve(navigator.sendBeacon(to, new URLSearchParams({on: "on"}))),
  ];
  const seen = [];
  for (const attempt of tries) {
    try { seen.push(String((await attempt()).type)); } catch (error) { seen.push("failed"); }
  }
  return seen;
}"""


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        content = self.server.pages.get(self.path, "<!doctype html>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing of this is for the report."""


@pytest.fixture
def attacker():
    """A site on another port of this machine; `pages` is what it shows."""
    with HTTPServer(("127.0.0.1", 0), _Pages) as server:
        server.pages = {}
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def forms(desk):
    return [rule.rule for rule in desk.inbox.url_map.iter_rules() if "POST" in rule.methods]


def test_no_form_of_another_port_is_taken_though_the_browser_sends_the_cookie(desk, browse, attacker):
    """Another port is the same site to a browser: SameSite does not keep the cookie back."""
    page = browse(desk)
    page.goto("/inbox/settings")
    for number, path in enumerate(forms(desk)):
        attacker.pages[f"/{number}"] = FORM.format(action=desk.url + path)
        page.goto(f"{attacker.url}/{number}")
        with page.expect_navigation():
            page.get_by_role("button").click()
        assert page.get_by_text("sent by a page of another site").is_visible(), path
    page.goto("/inbox/settings")
    assert page.get_by_role("checkbox").is_checked()


def test_no_script_of_another_port_does_or_sees_anything(desk, browse, attacker):
    page = browse(desk)
    page.goto(attacker.url)
    seen = page.evaluate(SENT_BY_SCRIPT, f"{desk.url}/inbox/settings/shortcuts")
    # The resource policy keeps even an opaque answer back; what sendBeacon gives tells nothing.
    assert set(seen) <= {"failed", "undefined"}
    page.goto("/inbox/settings")
    assert page.get_by_role("checkbox").is_checked()


@pytest.mark.parametrize("path", ["/inbox", "/inbox/settings", "/inbox/sign-in"])
def test_no_page_is_shown_in_anothers_frame(desk, browse, attacker, path):
    attacker.pages["/"] = f'<!doctype html><iframe src="{desk.url}{path}" width="600" height="400"></iframe>'
    page = browse(desk)
    page.goto(attacker.url)
    [frame] = page.frames[1:]
    assert frame.get_by_role("heading").count() == 0
    assert frame.url.startswith("chrome-error:")


def test_a_page_that_opened_the_inbox_holds_no_handle_of_it(desk, browse, attacker):
    page = browse(desk)
    page.goto(attacker.url)
    with page.expect_popup() as opened:
        page.evaluate("(to) => { window.opened = window.open(to); }", f"{desk.url}/inbox/settings")
    opened.value.wait_for_load_state()
    assert page.evaluate("() => window.opened.closed")


def test_a_name_that_resolves_to_this_machine_shows_nothing(desk, browse, attacker, chromium):
    """DNS rebinding: the attacker's page is of the same origin then, and nothing but the name tells."""
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM, args=[*CHROMIUM_OPTIONS, "--host-resolver-rules=MAP evil.example 127.0.0.1"]
    )
    try:
        page = browser.new_page()
        page.goto(f"http://evil.example:{desk.port}/inbox")
        assert page.get_by_text("not to be found under the name").is_visible()
        seen = page.evaluate("async () => (await fetch('/inbox/sign-in', {method: 'POST'})).status")
        assert seen == 403
    finally:
        browser.close()
