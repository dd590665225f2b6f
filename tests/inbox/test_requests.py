"""The page of requests of a desk for tests, which is open beside its control endpoints."""

import re

import httpx
import pytest

from tests.inbox.test_commands import SAME_ORIGIN, link_in

KEY = {"Authorization": "Bearer keva_live_for_tests"}
NEW = {
    "subject": "It broke",
    "customerEmail": "customer@example.com",
    "body": "It <i>really</i> did. keva_live_in_the_text",
}


@pytest.fixture
def control(serve):
    """A desk for tests with a client in its inbox."""
    running = serve("--control")
    running.told = [running.process.stdout.readline() for _ in range(3)]
    with httpx.Client(base_url=running.origin, headers=SAME_ORIGIN) as client:
        client.link = link_in(running.told[-1])
        client.running = running
        assert client.post(client.link).status_code == 303
        yield client


def test_it_shows_what_was_received_with_its_refusals_newest_first(control):
    control.post("/api/v1/tickets", json=NEW, headers=KEY)
    control.post("/api/v1/tickets", json=NEW | {"subject": ""}, headers=KEY)
    control.get("/api/v1/tickets", headers={"Authorization": "Bearer keva_live_" + "0" * 60 + "beef"})
    page = control.get("/inbox/requests").text
    assert re.findall(r'class="outcome( refused)?">(\d+)', page) == [
        (" refused", "401"),
        (" refused", "400"),
        ("", "201"),
    ]
    assert "subject must not be blank" in page
    assert "It &lt;i&gt;really&lt;/i&gt; did." in page
    assert "0" * 20 not in page
    assert "keva_live_...beef" in page
    assert "keva_live_in_the_text" not in page


def test_the_inbox_itself_is_neither_recorded_nor_faulted(control):
    control.post("/__keva__/faults", json={"status": 500, "times": None}, headers=KEY)
    assert control.get("/inbox").status_code == 200
    assert control.get("/inbox/requests").status_code == 200
    control.headers["X-Filler"] = "x" * 40_000
    assert control.get("/inbox").status_code == 431
    assert control.get("/%69nbox").status_code == 431
    del control.headers["X-Filler"]
    assert control.get("/__keva__/requests", headers=KEY).json() == {"data": []}


def test_news_tell_how_many_came_since(control):
    assert control.get("/inbox/requests/news?after=0").status_code == 204
    control.get("/api/v1/tickets", headers=KEY)
    assert "1 new: show it" in control.get("/inbox/requests/news?after=0").text
    control.get("/api/v1/tickets", headers=KEY)
    assert "2 new: show them" in control.get("/inbox/requests/news?after=0").text
    assert control.get("/inbox/requests/news?after=2").status_code == 204
    control.post("/__keva__/reset", headers=KEY)
    assert "The desk was reset" in control.get("/inbox/requests/news?after=2").text


def test_a_reset_leaves_whoever_looks_on_signed_in_and_the_link_good(control):
    link = control.link
    for _ in range(2):
        control.post("/__keva__/reset", headers=KEY)
        assert control.get("/inbox/settings").status_code == 200
    assert control.get(link).status_code == 404  # used up, and no reset brings it back


def test_a_link_that_was_not_used_yet_outlives_a_reset(serve):
    running = serve("--control")
    link = link_in([running.process.stdout.readline() for _ in range(3)][-1])
    httpx.post(f"{running.origin}/__keva__/reset", headers=KEY)
    assert httpx.post(link, headers=SAME_ORIGIN).status_code == 303


def test_neither_link_nor_session_follows_the_clock_of_the_desk(control):
    control.put("/__keva__/clock", json={"now": "2040-01-01T00:00:00Z"}, headers=KEY)
    assert control.get("/inbox").status_code == 200


class Requests:
    """Such a journal as a desk for tests has, in a desk with users of one workspace."""

    begun = 0

    def latest(self, count):
        return []


def test_a_user_of_one_workspace_does_not_see_what_others_sent(new_desk):
    desk = new_desk(journal=Requests())
    for user, status in ((desk.first, 200), (desk.user("Ann", desk.workspace()), 403)):
        with desk.client(user) as client:
            assert client.get("/inbox/requests").status_code == status
            assert client.get("/inbox/requests/news?after=1").status_code == status


def test_a_desk_of_real_tickets_has_no_such_page(client):
    assert client.get("/inbox/requests").status_code == 404
    assert "Requests" not in client.get("/inbox").text
