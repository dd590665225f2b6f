"""The pages in a real browser: the keyboard, drafts, two people, news, without JavaScript, narrow."""

import pytest

from tests.inbox.conftest import Desk
from tests.inbox.pages import create, messages, say, ticket


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("pages"))
    yield desk
    desk.stop()


@pytest.fixture
def script_at_once(monkeypatch, browse):
    """Pages whose script asks for news ten times a second."""

    def open_page(desk, user=None, **options):
        page = browse(desk, user, **options)
        page.add_init_script("const every = setInterval; window.setInterval = (what) => every(what, 100)")
        return page

    return open_page


def focused(page):
    return page.evaluate("document.activeElement.textContent.trim()")


def test_triage_with_the_keyboard_alone(desk, browse):
    made = [create(desk, subject=f"Keys {number}") for number in range(4)]
    page = browse(desk)
    page.goto("/inbox?q=Keys")
    page.keyboard.press("j")
    assert focused(page) == "Keys 3"
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert focused(page) == "Keys 2"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{made[2]}*")
    page.keyboard.press("r")
    page.keyboard.type("jks? Solved/")  # none acts while one types
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**sent=*")
    page.keyboard.press("s")
    page.wait_for_selector(".head .status.solved")
    page.keyboard.press("Escape")
    page.wait_for_url("**/inbox?q=Keys")
    assert [one["body"] for one in messages(desk, made[2])][1:] == ["jks? Solved/"]
    assert ticket(desk, made[2])["status"] == "solved"

    assert focused(page) == "Keys 2"  # one is where one was
    page.keyboard.press("j")
    assert focused(page) == "Keys 3"
    with page.expect_navigation():
        page.keyboard.press("s")
    assert ticket(desk, made[3])["status"] == "solved"
    with page.expect_navigation():
        page.keyboard.press("r")  # from the list into the reply
    page.keyboard.type("At once.")
    assert page.locator("#body").input_value() == "At once."
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


def test_letters_do_nothing_once_they_are_switched_off(desk, browse):
    create(desk)
    user = desk.user("Speaker")
    page = browse(desk, user)
    page.goto("/inbox/settings")
    page.locator("[name=on]").uncheck()
    page.locator("form[action$=shortcuts] button").click()
    page.goto("/inbox")
    for key in ("j", "s", "?", "/"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement === document.body")
    assert page.locator("dialog").count() == 0


def test_a_draft_is_kept_over_reloads_sign_out_and_a_stopped_server_until_it_is_sent(desk, browse):
    made = create(desk, subject="Drafts")
    page = browse(desk)
    page.goto(f"/inbox/{made}")
    page.locator("#body").fill("Half a sen")
    page.reload()
    assert page.locator("#body").input_value() == "Half a sen"
    assert page.get_by_text("Your draft, kept in this browser.").is_visible()

    page.context.set_offline(True)
    page.locator("#body").fill("Half a sentence.")
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Send", exact=True).click()
    page.context.set_offline(False)
    page.context.clear_cookies()
    page.goto(f"/inbox/{made}")
    page.wait_for_url("**/sign-in?*")
    page.goto(desk.link())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox")
    page.goto(f"/inbox/{made}")
    assert page.locator("#body").input_value() == "Half a sentence."

    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url("**sent=*")
    assert page.locator("#body").input_value() == ""
    page.goto(f"/inbox/{made}")
    assert page.locator("#body").input_value() == ""
    assert [one["body"] for one in messages(desk, made)][1:] == ["Half a sentence."]


def test_a_draft_that_arrived_all_the_same_is_not_stored_twice(desk, browse):
    made = create(desk, subject="Lost answer")
    page = browse(desk)
    page.goto(f"/inbox/{made}")
    page.locator("#body").fill("Did it arrive?")
    page.route("**/reply", lambda route: (route.fetch(max_redirects=0), route.abort()))  # it did, its answer did not
    page.get_by_role("button", name="Send", exact=True).click()
    page.unroute("**/reply")
    assert len(messages(desk, made)) == 2
    page.goto(f"/inbox/{made}")
    assert page.locator("#body").input_value() == "Did it arrive?"
    page.get_by_role("button", name="Send", exact=True).click()
    page.wait_for_url("**sent=*")
    assert len(messages(desk, made)) == 2


@pytest.mark.parametrize("typed_last", ["Sent.", "Not sent."])
def test_a_reply_sent_from_one_tab_leaves_what_is_typed_in_another(desk, browse, typed_last):
    made = create(desk, subject="Two tabs")
    first = browse(desk)
    first.goto(f"/inbox/{made}")
    first.locator("#body").fill("Sent.")
    second = first.context.new_page()
    second.goto(f"/inbox/{made}")
    assert second.locator("#body").input_value() == "Sent."  # kept in this browser, and so the start of the other
    second.locator("#body").fill("Not sent.")
    if typed_last == "Sent.":
        first.locator("#body").fill("Sent.")
    first.get_by_role("button", name="Send", exact=True).click()
    first.wait_for_url("**sent=*")
    second.wait_for_function("Object.values(localStorage).some((draft) => draft.includes('Not sent.'))")
    second.reload()
    assert second.locator("#body").input_value() == "Not sent."
    second.get_by_role("button", name="Send", exact=True).click()
    second.wait_for_url("**sent=*")
    assert second.locator("#body").input_value() == ""
    assert [one["body"] for one in messages(desk, made)][1:] == ["Sent.", "Not sent."]


def test_another_user_of_the_same_browser_sees_no_draft(desk, browse):
    made = create(desk)
    page = browse(desk, desk.user("First"))
    page.goto(f"/inbox/{made}")
    page.locator("#body").fill("Secret")
    cookie = {"name": desk.cookie, "value": desk.session(desk.user("Second")), "domain": "127.0.0.1", "path": "/inbox"}
    page.context.add_cookies([cookie])
    page.goto(f"/inbox/{made}")
    assert page.locator("#body").input_value() == ""


def test_two_browsers_on_one_ticket(desk, script_at_once):
    made = create(desk, subject="Two at once")
    ann, bob = (script_at_once(desk, desk.user(name)) for name in ("Anna", "Bob"))
    ann.goto(f"/inbox/{made}")
    bob.goto(f"/inbox/{made}")
    bob.locator("#body").fill("I am at it.")
    ann.locator("#body").fill("Done.")
    ann.get_by_role("button", name="Send and solve").click()
    ann.wait_for_url("**sent=*")

    bob.get_by_text("Anna wrote").wait_for()  # announced, and nothing has moved
    assert bob.title().startswith("(2) ")
    assert bob.locator("#body").input_value() == "I am at it."
    assert bob.locator(".message").count() == 1
    bob.get_by_role("button", name="Send", exact=True).click()
    notice = bob.locator(".notice")
    notice.wait_for()
    assert "Anna wrote: Done." in notice.inner_text()
    assert "Anna set status to solved, from open" in notice.inner_text()
    assert bob.locator("#body").input_value() == "I am at it."
    bob.get_by_role("button", name="Send", exact=True).click()
    bob.wait_for_url("**sent=*")
    assert [one["body"] for one in messages(desk, made)][1:] == ["Done.", "I am at it."]


def test_a_double_click_sends_once(desk, browse):
    made = create(desk)
    page = browse(desk)
    page.goto(f"/inbox/{made}")
    page.locator("#body").fill("Once.")
    page.get_by_role("button", name="Send", exact=True).dblclick()
    page.wait_for_url("**sent=*")
    assert len(messages(desk, made)) == 2


def test_the_back_button_brings_nothing_that_was_sent_and_shows_a_ticket_as_it_is(desk, browse):
    made = create(desk)
    page = browse(desk)
    page.goto("/inbox")
    page.goto(f"/inbox/{made}")
    page.get_by_label("Status").select_option("pending")
    page.locator("#body").fill("Once.")
    page.get_by_role("button", name="Send and solve").click()
    page.wait_for_url("**sent=*")
    page.go_back()
    assert page.locator("#body").input_value() == ""
    assert page.get_by_label("Status").input_value() == "solved"  # saved by mistake, another one would undo it


def test_news_is_announced_shown_when_asked_and_not_asked_for_by_a_hidden_tab(desk, script_at_once):
    page = script_at_once(desk)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/inbox")
    before = page.locator(".row").count()
    create(desk, subject="Brand new")
    page.get_by_text("1 new ticket: show it").wait_for()
    assert page.title() == "(1) Tickets - Keva"
    assert page.locator(".row").count() == before
    page.get_by_text("1 new ticket: show it").click()
    page.get_by_text("Brand new").wait_for()

    page.evaluate("Object.defineProperty(document, 'visibilityState', { value: 'hidden' })")
    page.wait_for_timeout(150)  # what was asked for before has come
    asked.clear()
    page.wait_for_timeout(400)
    assert asked == []


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def script(request):
    return request.param


def test_all_that_one_does_works_with_javascript_and_without(desk, browse, script):
    page = browse(desk, java_script_enabled=script)
    page.goto("/inbox")
    page.get_by_role("link", name="New ticket").click()
    page.get_by_label("Customer's email").fill("joe@example.com")
    page.get_by_label("Subject").fill(f"He called, {script}")
    page.get_by_label("What they said").fill("It is blue.")
    page.get_by_role("button", name="Make the ticket").click()
    page.get_by_role("heading", name="He called").wait_for()
    made = page.url.rpartition("/")[2].partition("?")[0]
    page.get_by_label("Reply to joe@example.com").fill("We know.")
    page.get_by_role("button", name="Send and set pending").click()
    page.locator(".message.outbound").wait_for()
    page.get_by_label("Priority").select_option("urgent")
    page.get_by_label("Assigned to").select_option(label="Support (me)")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("took it").wait_for()
    found = ticket(desk, made)
    assert (found["status"], found["priority"], found["assignedTo"]) == ("pending", "urgent", desk.first.id)

    page.get_by_role("link", name="Tickets").first.click()
    page.get_by_role("searchbox").fill(f'"He called, {script}" priority:urgent')
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name="He called").click()
    page.get_by_role("button", name="Solve", exact=True).click()
    page.locator(".head .status.solved").wait_for()


@pytest.mark.parametrize("width", [320, 375, 768])
@pytest.mark.parametrize("path", ["/inbox", "/inbox/TICKET", "/inbox/new", "/inbox/settings", "/inbox?q=nothing"])
def test_nothing_is_wider_than_a_narrow_window(desk, browse, width, path):
    made = create(desk, subject="W" * 255, body="M" * 3000 + "\nhttps://example.com/" + "a" * 300)
    say(desk, made, "שלום עולם 👩‍👩‍👧‍👦", bodyHtml="<p>Hi</p>", senderName="N" * 255)
    page = browse(desk, viewport={"width": width, "height": 700})
    page.goto(path.replace("TICKET", made))
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
