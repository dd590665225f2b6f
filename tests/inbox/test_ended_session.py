"""A session that ended while one typed: what was sent is kept through signing in, and sent when its writer says so."""

import re
from html import unescape

import pytest

from keva import people
from tests.inbox.conftest import PASSWORD

TEXT = 'Ä "quoted" <b>text</b> & more\r\n\r\nwith 😀 and  two blanks, a+b=100%'


def fields_of(page):
    """The fields of each form of a page, hidden or not."""
    forms = []
    for action, inside in re.findall(r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', page, re.DOTALL):
        found = {}
        for tag in re.findall(r"<input[^>]*>", inside):
            name = re.search(r'name="([^"]*)"', tag)
            value = re.search(r'value="([^"]*)"', tag, re.DOTALL)
            if name:
                found[unescape(name[1])] = unescape(value[1]) if value else ""
        for name, value in re.findall(r'<textarea name="([^"]*)"[^>]*>\n(.*?)</textarea>', inside, re.DOTALL):
            found[unescape(name)] = unescape(value)
        forms.append((action, found))
    return forms


@pytest.fixture
def ann(desk):
    return desk.user("Ann", password=PASSWORD)


def test_what_was_sent_comes_back_after_signing_in(desk, ann):
    with desk.client(signed_in=False) as client:
        sent = {"body": TEXT, "status": "solved"}
        refused = client.post("/inbox/settings/shortcuts", data=sent)
        assert refused.status_code == 401
        (action, fields), _ = fields_of(refused.text)
        assert action == "/inbox/sign-in"
        wrong = client.post(action, data=fields | {"email": ann.email, "password": "wrong password"})
        (action, fields), _ = fields_of(wrong.text)
        back = client.post(action, data=fields | {"password": PASSWORD})
        assert back.status_code == 200
        action, fields = fields_of(back.text)[-1]
        assert (action, fields) == ("/inbox/settings/shortcuts", sent)
        assert client.post(action, data=fields).status_code == 303


def test_who_signed_in_in_another_tab_goes_on_without_a_password(desk, ann):
    with desk.client(signed_in=False) as client:
        refused = client.post("/inbox/settings/shortcuts", data={"body": TEXT})
        _, (action, fields) = fields_of(refused.text)
        # Who is signed in nowhere is asked once more, and nothing is lost.
        (_, asked), (_, again) = fields_of(client.post(action, data=fields).text)
        assert again == fields
        assert asked.keys() == fields.keys() | {"email", "password"}
        client.cookies.set(desk.cookie, desk.session(ann), domain="127.0.0.1", path="/inbox")
        back = client.post(action, data=fields)
        assert fields_of(back.text)[-1] == ("/inbox/settings/shortcuts", {"body": TEXT})


def test_a_password_is_not_carried(desk):
    with desk.client(signed_in=False) as client:
        refused = client.post("/inbox/settings/password", data={"new_password": PASSWORD})
        assert refused.status_code == 401
        assert PASSWORD not in refused.text
        assert "carried" not in refused.text


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/api/v1/tickets", "javascript:alert(1)"])
def test_a_form_is_carried_to_a_page_of_the_inbox_alone(desk, ann, to):
    with desk.client(signed_in=False) as client:
        fields = {"next": to, "carried": "body=x", "email": ann.email, "password": PASSWORD}
        answer = client.post("/inbox/sign-in", data=fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/inbox")


def test_the_longest_message_is_carried_whole(desk, ann):
    longest = "😀" * 100_000
    with desk.client(signed_in=False) as client:
        (action, fields), _ = fields_of(client.post("/inbox/settings/shortcuts", data={"body": longest}).text)
        back = client.post(action, data=fields | {"email": ann.email, "password": PASSWORD})
        assert fields_of(back.text)[-1][1] == {"body": longest}


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_person_whose_session_ended_sees_the_text_again_and_sends_it(desk, ann, browse, script):
    page = browse(desk, ann, java_script_enabled=script)
    page.goto("/inbox/settings")
    with desk.database.write() as tx:
        people.set_password(tx, ann, people.with_password(tx, ann.email)[1])  # which ends the sessions
    page.get_by_role("checkbox").uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Email").fill(ann.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Send it now").click()
    page.wait_for_url("**/inbox/settings?saved=shortcuts")
    assert not page.get_by_role("checkbox").is_checked()
