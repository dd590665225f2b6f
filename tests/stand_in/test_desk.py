"""What a test finds in `keva.testing.Keva`: a desk that it can seed, look into and make as new."""

import io
import os
import re
import subprocess
import sys
import threading
import unittest
import warnings

import httpx
import pytest

from keva.testing import Keva
from tests.conftest import ROOT
from tests.stand_in.conftest import NEW, TICKETS


def test_a_ticket_that_a_client_creates_is_on_the_desk(desk, client):
    created = client.post(TICKETS, json=NEW).json()["data"]

    [ticket] = desk.tickets()
    assert ticket["id"] == created["id"] == "tkt_000001"
    assert ticket == desk.ticket("tkt_000001") == client.get(f"{TICKETS}/tkt_000001").json()["data"]
    assert desk.messages("tkt_000001") == client.get(f"{TICKETS}/tkt_000001/messages").json()["data"]


def test_a_seeded_ticket_is_what_get_answers(desk, client):
    given = {"subject": "Seen before", "status": "solved", "tags": ["login"], "createdAt": "2024-01-15T10:30:00Z"}

    seeded = desk.seed(**given)

    assert seeded.items() >= given.items()
    assert client.get(f"{TICKETS}/{seeded['id']}").json()["data"] == seeded


def test_many_are_seeded_at_once_each_with_defaults_for_what_it_lacks(desk):
    seeded = desk.seed([{"status": "open"}, {"status": "closed", "messages": [{"body": "a"}, {"body": "b"}]}])

    assert [ticket["status"] for ticket in seeded] == ["open", "closed"]
    assert desk.tickets() == seeded[::-1]
    assert [message["body"] for message in desk.messages(seeded[1]["id"])] == ["a", "b"]
    assert len(desk.messages(seeded[0]["id"])) == 1


def test_what_does_not_fit_is_a_value_error_that_names_the_field_and_nothing_is_stored(desk):
    with pytest.raises(ValueError, match="status must be"):
        desk.seed([{}, {"status": "new"}])
    with pytest.raises(ValueError, match="colour is not a field"):
        desk.seed(colour="red")

    assert desk.tickets() == []


def test_the_desk_is_looked_into_by_status_and_workspace(desk):
    other = desk.create_workspace("Second desk")
    here = desk.seed(status="pending")
    there = desk.seed(status="pending", workspaceId=other)
    desk.seed(status="closed")

    assert desk.tickets(status="pending") == [there, here]
    assert desk.tickets(workspace_id=other) == [there]


def test_a_ticket_that_is_not_there_is_a_key_error_that_names_those_that_are(desk):
    desk.seed()

    for look in (desk.ticket, desk.messages):
        with pytest.raises(KeyError, match="tkt_000001"):
            look("tkt_nope")


def test_a_minted_id_steps_over_one_that_was_seeded(desk, client):
    desk.seed(id="tkt_000001", messages=[{"id": "msg_000001", "body": "first"}])

    assert client.post(TICKETS, json=NEW).json()["data"]["id"] == "tkt_000002"


def test_keys_are_made_for_refusals_and_for_isolation(desk, client):
    other = desk.create_workspace("Second desk")
    ticket = desk.seed()
    reader, stranger = desk.create_key(scopes=["tickets:read"]), desk.create_key(workspace=other)

    assert client.post(TICKETS, json=NEW, headers={"Authorization": f"Bearer {reader}"}).status_code == 403
    path = f"{TICKETS}/{ticket['id']}"
    assert client.get(path, headers={"Authorization": f"Bearer {stranger}"}).status_code == 404
    desk.revoke_key(reader)
    assert client.get(path, headers={"Authorization": f"Bearer {reader}"}).status_code == 401
    with pytest.raises(KeyError):
        desk.revoke_key("keva_live_nobody")


def test_reset_makes_all_as_new_and_keeps_url_key_and_open_connections(desk, client):
    url, key = desk.url, desk.key
    extra = desk.create_key()
    desk.create_workspace()
    client.post(TICKETS, json=NEW)
    desk.fail(times=None)
    desk.freeze("2024-01-15T10:30:00Z")

    desk.reset()

    assert (desk.url, desk.key) == (url, key)
    assert desk.tickets() == desk.requests() == desk.faults() == []
    assert desk.now > "2024-02"
    assert client.get(TICKETS).json()["pagination"]["total"] == 0
    assert client.get(TICKETS, headers={"Authorization": f"Bearer {extra}"}).status_code == 401
    assert client.post(TICKETS, json=NEW).json()["data"]["id"] == "tkt_000001"
    assert desk.create_workspace() == "ws_000002"


def test_two_desks_share_nothing(desk):
    with Keva() as other:
        other.seed()
        assert desk.tickets() == []
        assert other.url != desk.url


def test_the_clock_stops_moves_and_goes_on(desk, client):
    desk.freeze("2024-01-15T10:30:00Z")
    created = client.post(TICKETS, json=NEW).json()["data"]
    desk.advance(90)
    changed = client.patch(f"{TICKETS}/{created['id']}", json={"status": "solved"}).json()["data"]
    desk.unfreeze()

    assert created["createdAt"] == "2024-01-15T10:30:00Z"
    assert changed["updatedAt"] == "2024-01-15T10:31:30Z"
    assert desk.now > changed["updatedAt"]


@pytest.mark.parametrize("moment", ["yesterday", "2024-02-30T00:00:00Z"])
def test_a_time_there_is_not_is_refused(desk, moment):
    with pytest.raises(ValueError, match="2024-01-15T10:30:00Z"):
        desk.freeze(moment)


def test_a_rate_limit_is_kept_and_forgotten_by_a_reset():
    with Keva(rate_limit=2) as desk, httpx.Client(headers={"Authorization": f"Bearer {desk.key}"}) as client:
        desk.freeze("2024-01-15T10:30:00Z")
        statuses = [client.get(desk.url + TICKETS).status_code for _ in range(3)]
        desk.reset()
        desk.freeze("2024-01-15T10:30:00Z")

        assert statuses == [200, 200, 429]
        assert client.get(desk.url + TICKETS).status_code == 200


def test_variables_of_the_environment_do_not_matter(monkeypatch):
    monkeypatch.setenv("KEVA_API_KEY", "keva_live_from_outside")
    monkeypatch.setenv("KEVA_RATE_LIMIT", "1")
    with Keva() as desk:
        assert desk.key != "keva_live_from_outside"


def test_a_subprocess_finds_the_desk_by_its_environment(desk):
    code = (
        "import os, urllib.request as r;"
        "q = r.Request(os.environ['KEVA_BASE_URL'] + '/api/v1/tickets');"
        "q.add_header('Authorization', 'Bearer ' + os.environ['KEVA_API_KEY']);"
        "print(r.urlopen(q).status)"
    )
    environ = desk.environ | {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "200", done.stderr


def test_it_works_from_unittest():
    class Case(unittest.TestCase):
        def setUp(self):
            self.keva = Keva().start()
            self.addCleanup(self.keva.stop)

        def runTest(self):
            self.keva.seed()
            assert len(self.keva.tickets()) == 1

    assert unittest.TextTestRunner(stream=io.StringIO()).run(Case()).wasSuccessful()


def test_nothing_is_left_of_a_stopped_desk():
    before = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Keva() as desk:
            httpx.get(desk.url + "/healthz")
            folder = desk._rehearsal.desk.path.parent
    assert not folder.exists()
    assert set(threading.enumerate()) - before == set()


def test_the_clock_shows_no_time_that_the_api_could_not(desk):
    desk.freeze("9999-12-31T23:59:50Z")
    with pytest.raises(ValueError, match="1970 to 9999"):
        desk.advance(60)
    with pytest.raises(ValueError, match="1970 to 9999"):
        desk.freeze("0001-01-01T00:00:00Z")
    assert desk.now == "9999-12-31T23:59:50Z"


@pytest.mark.parametrize("scopes", [[], ["x"], "tickets:read"])
def test_a_scope_there_is_not_is_refused(desk, scopes):
    with pytest.raises(ValueError, match="tickets:read and tickets:write"):
        desk.create_key(scopes=scopes)


def test_a_seeded_answer_needs_no_sender_and_a_wrong_ticket_is_numbered(desk):
    ticket = desk.seed(messages=[{"body": "a"}, {"body": "b", "direction": "outbound"}])
    assert desk.messages(ticket["id"])[1]["senderEmail"] == "support@company.com"
    with pytest.raises(ValueError, match=r"^tickets\.1: status"):
        desk.seed([{}, {"status": "new"}])


def test_the_contract_holds_for_it(desk):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/contract"]
    environ = os.environ | desk.environ
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert re.search(r"^\d{3,} passed, \d+ skipped", done.stdout, re.MULTILINE), done.stdout[-2000:]
