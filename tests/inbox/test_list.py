"""The list of tickets: its order, filters, pages, search and news."""

import re

import pytest

from keva.inbox import tickets
from tests.inbox.conftest import Desk
from tests.inbox.pages import NEW, change, create, link, listed, say


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("list"))
    desk.made = [create(desk, subject=f"Order {number}") for number in range(8)]
    me = desk.first
    change(desk, desk.made[1], status="solved", assignedTo=me.id)
    change(desk, desk.made[2], assignedTo=me.id)
    change(desk, desk.made[3], status="closed")
    say(desk, desk.made[3], "Once more, please.")
    say(desk, desk.made[4], "It is on its way.", direction="outbound", senderEmail="ann@example.com")
    change(desk, desk.made[0], status="pending")
    yield desk
    desk.stop()


@pytest.fixture
def client(desk):
    with desk.client() as client:
        yield client


def pick(desk, *numbers):
    return [desk.made[number] for number in numbers]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [4, 3, 7, 6, 5, 2, 1, 0]),
        ("?status=open", [4, 7, 6, 5, 2]),
        ("?status=pending", [0]),
        ("?status=closed", [3]),
        ("?waiting=yes", [3, 7, 6, 5, 2, 0]),
        ("?waiting=yes&status=open", [7, 6, 5, 2]),
        ("?assignee=me", [2, 1]),
        ("?assignee=me&status=open", [2]),
        ("?assignee=nobody&status=open&waiting=yes", [7, 6, 5]),
        ("?status=nonsense&waiting=1&assignee=x&before=-1&page=7", [4, 3, 7, 6, 5, 2, 1, 0]),
        ("?before=99999999999999999999999", [4, 3, 7, 6, 5, 2, 1, 0]),
        ("?q=order", [4, 3, 7, 6, 5, 2, 1, 0]),
        ("?q=way", [4]),
        ("?q=order&assignee=me", [2, 1]),
        ("?q=order&waiting=yes&status=closed", [3]),
        ("?q=assigned:me", [2, 1]),
        ("?q=nothing", []),
    ],
)
def test_the_address_says_which_tickets_are_there_by_their_last_message(desk, client, query, numbers):
    assert listed(client.get(f"/inbox{query}").text) == pick(desk, *numbers)


def test_each_status_tells_how_many_it_has_under_the_other_filters(client):
    def counts(page):
        return dict(re.findall(r'>(\w+) <span class="count">([\d,+]+)</span>', page))

    assert counts(client.get("/inbox").text) == {
        "Open": "5", "Pending": "1", "Solved": "1", "Closed": "1", "Waiting": "6"
    }  # fmt: skip
    assert counts(client.get("/inbox?assignee=me&status=open").text)["Solved"] == "1"
    assert counts(client.get("/inbox?assignee=nobody").text)["Solved"] == "0"


def test_pages_lead_from_one_to_the_next_and_keep_the_filters(desk, client, monkeypatch):
    monkeypatch.setattr(tickets, "PER_PAGE", 3)
    for query in ("?waiting=yes", "?q=order&waiting=yes"):
        address, found = f"/inbox{query}", []
        while address:
            page = client.get(address).text
            found.append(listed(page))
            address = link(page, "Older") if ">Older<" in page else None
            assert address is None or "waiting=yes" in address
        assert [len(page) for page in found] == [3, 3]
        assert [ticket for page in found for ticket in page] == pick(desk, 3, 7, 6, 5, 2, 0)


def test_a_row_tells_who_said_what_and_how_long_ago(client):
    row = re.search(r'<li class="row[^"]*" data-ticket.*?</li>', client.get("/inbox?q=way").text, re.DOTALL)[0]
    for told in ("Order 4", "Jane Smith", "↩", "It is on its way.", "Open", ">now<"):
        assert told in row
    assert "Waiting" not in row


def test_a_search_shows_the_message_that_matched_and_leads_to_it(desk, client):
    made = create(desk, subject="Long ago")
    found = say(desk, made, "My zebra is striped.")
    say(desk, made, "Never mind.")
    page = client.get("/inbox?q=zebra").text
    assert listed(page) == [made]
    assert "My zebra is striped." in page
    assert "Never mind." not in page
    assert link(page, "Long ago") == f"/inbox/{made}?all#{found}"
    assert f'id="{found}"' in client.get(f"/inbox/{made}?all").text
    assert link(client.get("/inbox?q=never").text, "Long ago") == f"/inbox/{made}#last"


def test_a_workspace_is_chosen_by_who_reaches_several(desk, client):
    second = desk.workspace("Sales")
    made = desk.api(
        "POST", f"/api/v1/tickets?workspace_id={second}", json={"subject": "S", "customerEmail": "a@b.c", "body": "b"}
    )
    page = client.get("/inbox").text
    assert listed(client.get(link(page, "Sales")).text) == [made.json()["data"]["id"]]
    for page in (
        client.get("/inbox?workspace=ws_none"),
        client.post("/inbox/new", data=NEW | {"workspace": "ws_none"}),
    ):
        assert page.status_code == 404
        assert "There is no such workspace that you reach" in page.text
    with desk.client(desk.user("Sue", second)) as sue:
        page = sue.get("/inbox").text
        assert listed(page) == [made.json()["data"]["id"]]
        assert "All workspaces" not in page
        assert listed(sue.get("/inbox?q=order").text) == []


def test_news_tells_what_others_did_since(new_desk):
    desk = new_desk()
    ann = desk.user("Ann")
    with desk.client(ann) as client:
        news = link(client.get("/inbox").text, "") and re.search(r'data-news="([^"]*)"', client.get("/inbox").text)[1]
        assert client.get(news).status_code == 204
        first = create(desk)
        create(desk)
        change(desk, first, priority="high")
        say(desk, first, "And?")
        client.post(f"/inbox/{first}/reply", data={"body": "Soon.", "seen": "999"})
        answer = client.get(news)
        assert answer.status_code == 200
        assert "2 new tickets, 1 new message: show them" in answer.text
        assert 'href="/inbox"' in answer.text
        again = re.search(r'data-news="([^"]*)"', client.get("/inbox").text)[1]
        assert client.get(again).status_code == 204
    sue = desk.user("Sue", desk.workspace("Sales"))
    with desk.client(sue) as client:
        assert client.get("/inbox/news?after=0").status_code == 204


def test_an_empty_desk_says_what_to_do(new_desk):
    with new_desk().client() as client:
        assert "No tickets yet." in client.get("/inbox").text
        assert "No tickets here." in client.get("/inbox?status=open").text
        assert "Nothing found." in client.get("/inbox?q=x").text


def test_without_an_index_the_search_says_so_and_the_desk_serves(new_desk, monkeypatch):
    monkeypatch.setattr("keva.search.tables._WORDS", "CREATE VIRTUAL TABLE words USING no_fts5(x)")
    desk = new_desk()
    ticket = create(desk)
    with desk.client() as client:
        page = client.get("/inbox?q=broke")
        assert page.status_code == 200
        assert "The search needs SQLite with FTS5" in page.text
        assert client.get(f"/inbox/{ticket}").status_code == 200
