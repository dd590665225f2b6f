"""No one sees another's desk in the pages: every page with a ticket, every kind of user, every kind of ticket.

It is made from the routes, so that a new one cannot be forgotten.
"""

import re
import sqlite3
from contextlib import closing

import pytest

from keva import people
from tests.inbox.conftest import Desk

# What is posted, by the end of its path.
FORMS = {
    "new": {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."},
    "reply": {"body": "Hello.", "seen": "999999999"},
    "change": {"status": "pending", "seen": "999999999"},
}
HTML = {"body": "Hello.", "bodyHtml": "<p>Hello.</p>", "senderEmail": "customer@example.com"}
USERS = ["own", "of the other workspace", "of all", "disabled", "nobody"]
PLACES = ["own", "other", "unknown", "malformed"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("isolation"))
    home, away = "ws_home", desk.workspace("Second desk")
    desk.away = away
    with desk.database.write() as tx:
        tx.all("UPDATE workspaces SET id = ? WHERE seq = 1", (home,))
    desk.users = {
        "own": desk.user("Own", home),
        "of the other workspace": desk.user("Other", away),
        "of all": desk.first,
        "disabled": desk.user("Disabled", home),
    }
    desk.sessions = {name: desk.session(user) for name, user in desk.users.items()}
    with desk.database.write() as tx:
        people.disable(tx, desk.users["disabled"].id)
    made = {
        place: desk.api("POST", f"/api/v1/tickets?workspace_id={workspace}", json=FORMS["new"]).json()["data"]["id"]
        for place, workspace in (("own", home), ("other", away))
    }
    desk.places = made | {"unknown": "tkt_doesnotexist0000000", "malformed": "tkt_no.such"}
    desk.messages = {
        place: desk.api("POST", f"/api/v1/tickets/{ticket}/messages", json=HTML).json()["data"]["id"]
        for place, ticket in made.items()
    }
    yield desk
    desk.stop()


def pages(inbox):
    """The method and the rule of each page that has a ticket in its address."""
    return [
        (method, rule)
        for rule in inbox.url_map.iter_rules()
        if "ticket_id" in rule.arguments
        for method in rule.methods - {"HEAD"}
    ]


def ask(desk, method, rule, place, name):
    path = rule.rule.replace("<ticket_id>", desk.places[place])
    path = path.replace("<message_id>", desk.messages.get(place, "msg_doesnotexist"))
    with desk.client(signed_in=False) as client:
        if name in desk.sessions:
            client.cookies.set(desk.cookie, desk.sessions[name], domain="127.0.0.1", path="/inbox")
        form = FORMS[rule.rule.rpartition("/")[2]] if method == "POST" else None
        return client.request(method, path, data=form)


def contents(desk):
    with closing(sqlite3.connect(desk.database.path)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("name", USERS)
@pytest.mark.parametrize("place", PLACES)
def test_each_user_reaches_what_they_should_and_a_refusal_stores_nothing(desk, place, name):
    reached = {"of the other workspace": ["other"], "of all": ["own", "other"], "own": ["own"]}.get(name, [])
    for method, rule in pages(desk.inbox):
        before = contents(desk)
        answer = ask(desk, method, rule, place, name)
        if place in reached:
            assert answer.status_code < 400, (method, rule)
        else:
            assert answer.status_code == (404 if name in ("own", "of the other workspace", "of all") else 401) or (
                method == "GET" and name in ("disabled", "nobody") and answer.status_code == 303
            ), (method, rule)
            assert contents(desk) == before


def test_what_is_out_of_reach_looks_like_what_is_not_there(desk):
    for method, rule in pages(desk.inbox):
        answers = {ask(desk, method, rule, place, "own").content for place in ("other", "unknown", "malformed")}
        assert len(answers) == 1, (method, rule)


def test_a_ticket_of_another_workspace_is_in_no_list_no_count_and_no_news(desk):
    paths = ["/inbox", "/inbox?waiting=yes", "/inbox?assignee=nobody", "/inbox?q=another"]
    with desk.client(desk.users["own"]) as client:

        def shown():
            pages = [client.get(path).text for path in paths]
            return [re.findall(r'data-ticket="\w+"|class="count">[^<]*<', page) for page in pages]

        before, [news] = shown(), re.findall(r'data-news="([^"]*)"', client.get("/inbox").text)
        away = f"/api/v1/tickets?workspace_id={desk.away}"
        assert desk.api("POST", away, json=FORMS["new"] | {"subject": "Another"}).status_code == 201
        assert shown() == before
        assert client.get(news).status_code == 204


def test_settings_show_a_user_of_one_workspace_nothing_of_another(desk):
    with desk.client(desk.users["own"]) as client:
        page = client.get("/inbox/settings").text
    assert "own@example.com" in page
    assert "support@example.com" in page  # who reaches all workspaces reaches this one
    assert "other@example.com" not in page
