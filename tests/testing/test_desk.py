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
from tests.commands import LEFT_OUT, ROOT
from tests.testing.conftest import NEW, TICKETS


def test_a_ticket_that_a_client_creates_is_on_the_desk(keva, client):
    created = client.post(TICKETS, json=NEW).json()["data"]

    [ticket] = keva.tickets()
    assert ticket["id"] == created["id"] == "tkt_000001"
    assert ticket == keva.ticket("tkt_000001") == client.get(f"{TICKETS}/tkt_000001").json()["data"]
    assert keva.messages("tkt_000001") == client.get(f"{TICKETS}/tkt_000001/messages").json()["data"]


def test_a_seeded_ticket_is_what_get_answers(keva, client):
    given = {"subject": "Seen before", "status": "solved", "tags": ["login"], "createdAt": "2024-01-15T10:30:00Z"}

    seeded = keva.seed(**given)

    assert seeded.items() >= given.items()
    assert client.get(f"{TICKETS}/{seeded['id']}").json()["data"] == seeded


def test_many_are_seeded_at_once_each_with_defaults_for_what_it_lacks(keva):
    seeded = keva.seed([{"status": "open"}, {"status": "closed", "messages": [{"body": "a"}, {"body": "b"}]}])

    assert [ticket["status"] for ticket in seeded] == ["open", "closed"]
    assert keva.tickets() == seeded[::-1]
    assert [message["body"] for message in keva.messages(seeded[1]["id"])] == ["a", "b"]
    assert len(keva.messages(seeded[0]["id"])) == 1


def test_what_does_not_fit_is_a_value_error_that_names_the_field_and_nothing_is_stored(keva):
    with pytest.raises(ValueError, match="status must be"):
        keva.seed([{}, {"status": "new"}])
    with pytest.raises(ValueError, match="colour is not a field"):
        keva.seed(colour="red")

    assert keva.tickets() == []


def test_the_desk_is_looked_into_by_status_and_workspace(keva):
    other = keva.create_workspace("Second desk")
    here = keva.seed(status="pending")
    there = keva.seed(status="pending", workspaceId=other)
    keva.seed(status="closed")

    assert keva.tickets(status="pending") == [there, here]
    assert keva.tickets(workspace_id=other) == [there]


def test_a_ticket_that_is_not_there_is_a_key_error_that_names_those_that_are(keva):
    keva.seed()

    for look in (keva.ticket, keva.messages):
        with pytest.raises(KeyError, match="tkt_000001"):
            look("tkt_nope")


def test_a_minted_id_steps_over_one_that_was_seeded(keva, client):
    keva.seed(id="tkt_000001", messages=[{"id": "msg_000001", "body": "first"}])

    assert client.post(TICKETS, json=NEW).json()["data"]["id"] == "tkt_000002"


def test_keys_are_made_for_refusals_and_for_isolation(keva, client):
    other = keva.create_workspace("Second desk")
    ticket = keva.seed()
    reader, stranger = keva.create_key(scopes=["tickets:read"]), keva.create_key(workspace=other)

    assert client.post(TICKETS, json=NEW, headers={"Authorization": f"Bearer {reader}"}).status_code == 403
    path = f"{TICKETS}/{ticket['id']}"
    assert client.get(path, headers={"Authorization": f"Bearer {stranger}"}).status_code == 404
    keva.revoke_key(reader)
    assert client.get(path, headers={"Authorization": f"Bearer {reader}"}).status_code == 401
    with pytest.raises(KeyError):
        keva.revoke_key("keva_live_nobody")


def test_reset_makes_all_as_new_and_keeps_url_key_and_open_connections(keva, client):
    url, key = keva.url, keva.key
    extra = keva.create_key()
    keva.create_workspace()
    client.post(TICKETS, json=NEW)
    keva.fail(times=None)
    keva.freeze("2024-01-15T10:30:00Z")

    keva.reset()

    assert (keva.url, keva.key) == (url, key)
    assert keva.tickets() == keva.requests() == keva.faults() == []
    assert keva.now > "2024-02"
    assert client.get(TICKETS).json()["pagination"]["total"] == 0
    assert client.get(TICKETS, headers={"Authorization": f"Bearer {extra}"}).status_code == 401
    assert client.post(TICKETS, json=NEW).json()["data"]["id"] == "tkt_000001"
    assert keva.create_workspace() == "ws_000002"


def test_two_desks_share_nothing(keva):
    with Keva() as other:
        other.seed()
        assert keva.tickets() == []
        assert other.url != keva.url


def test_the_clock_stops_moves_and_goes_on(keva, client):
    keva.freeze("2024-01-15T10:30:00Z")
    created = client.post(TICKETS, json=NEW).json()["data"]
    keva.advance(90)
    changed = client.patch(f"{TICKETS}/{created['id']}", json={"status": "solved"}).json()["data"]
    keva.unfreeze()

    assert created["createdAt"] == "2024-01-15T10:30:00Z"
    assert changed["updatedAt"] == "2024-01-15T10:31:30Z"
    assert keva.now > changed["updatedAt"]


@pytest.mark.parametrize("moment", ["yesterday", "2024-02-30T00:00:00Z"])
def test_a_time_there_is_not_is_refused(keva, moment):
    with pytest.raises(ValueError, match="2024-01-15T10:30:00Z"):
        keva.freeze(moment)


def test_a_rate_limit_is_kept_and_forgotten_by_a_reset():
    with Keva(rate_limit=2) as keva, httpx.Client(headers={"Authorization": f"Bearer {keva.key}"}) as client:
        keva.freeze("2024-01-15T10:30:00Z")
        statuses = [client.get(keva.url + TICKETS).status_code for _ in range(3)]
        keva.reset()
        keva.freeze("2024-01-15T10:30:00Z")

        assert statuses == [200, 200, 429]
        assert client.get(keva.url + TICKETS).status_code == 200


def test_variables_of_the_environment_do_not_matter(monkeypatch):
    monkeypatch.setenv("KEVA_API_KEY", "keva_live_from_outside")
    monkeypatch.setenv("KEVA_RATE_LIMIT", "1")
    with Keva() as keva:
        assert keva.key != "keva_live_from_outside"


def test_a_subprocess_finds_the_desk_by_its_environment(keva):
    code = (
        "import os, urllib.request as r;"
        "q = r.Request(os.environ['KEVA_BASE_URL'] + '/api/v1/tickets');"
        "q.add_header('Authorization', 'Bearer ' + os.environ['KEVA_API_KEY']);"
        "print(r.urlopen(q).status)"
    )
    environ = keva.environ | {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
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
        with Keva() as keva:
            httpx.get(keva.url + "/healthz")
            folder = keva._sandbox.database.path.parent
    assert not folder.exists()
    assert set(threading.enumerate()) - before == set()


def test_the_clock_shows_no_time_that_the_api_could_not(keva):
    keva.freeze("9999-12-31T23:59:50Z")
    with pytest.raises(ValueError, match="1970 to 9999"):
        keva.advance(60)
    with pytest.raises(ValueError, match="1970 to 9999"):
        keva.freeze("0001-01-01T00:00:00Z")
    assert keva.now == "9999-12-31T23:59:50Z"


@pytest.mark.parametrize("scopes", [[], ["x"], "tickets:read"])
def test_a_scope_there_is_not_is_refused(keva, scopes):
    with pytest.raises(ValueError, match="tickets:read and tickets:write"):
        keva.create_key(scopes=scopes)


def test_a_seeded_answer_needs_no_sender_and_a_wrong_ticket_is_numbered(keva):
    ticket = keva.seed(messages=[{"body": "a"}, {"body": "b", "direction": "outbound"}])
    assert keva.messages(ticket["id"])[1]["senderEmail"] == "support@company.com"
    with pytest.raises(ValueError, match=r"^tickets\.1: status"):
        keva.seed([{}, {"status": "new"}])


# The form of what is sent is refused by code that a desk for tests shares with `app.py`, where all of it is tried.
SHORT = ["--ignore=tests/contract/test_input.py", "--ignore=tests/contract/test_isolation.py"]


@pytest.mark.parametrize("options", [SHORT, pytest.param([], marks=pytest.mark.slow)], ids=["short", "long"])
def test_the_contract_holds_for_it(keva, options):
    command = [sys.executable, "-m", "pytest", "-q", "-x", *LEFT_OUT, "tests/contract", *options]
    environ = os.environ | keva.environ
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert re.search(r"^\d{3,} passed, \d+ skipped", done.stdout, re.MULTILINE), done.stdout[-2000:]
