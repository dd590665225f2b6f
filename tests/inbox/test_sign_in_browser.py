"""Signing in as a person does, in a real browser, with JavaScript and without."""

import pytest

from tests.inbox.conftest import PASSWORD


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def script(request):
    return request.param


def test_a_link_signs_in_by_one_click(desk, browse, script):
    page = browse(desk, signed_in=False, java_script_enabled=script)
    page.goto(desk.link())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox")
    assert page.get_by_role("heading", level=1).inner_text() == "Tickets"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/inbox/sign-in")
    page.goto("/inbox")
    assert page.url.endswith("/inbox/sign-in")


def test_an_invitation_asks_for_a_password_which_signs_in_the_next_time(desk, browse, script):
    ann = desk.user("Ann")
    page = browse(desk, signed_in=False, java_script_enabled=script)
    page.goto(desk.link(ann, asks_password=True))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox")

    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Email").fill("ANN@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox")
    assert page.get_by_text("Ann", exact=True).is_visible()


def test_an_email_with_letters_beyond_ascii_signs_in(desk, browse):
    desk.user("Jörg", password=PASSWORD)
    page = browse(desk, signed_in=False)
    page.goto("/inbox/sign-in")
    page.get_by_label("Email").fill("JÖRG@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox")
