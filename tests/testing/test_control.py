"""The control endpoints: the same desk, for a test in any language."""

import json
import re
from pathlib import Path

import httpx
import pytest

from keva.testing.sandbox import Sandbox
from tests.commands import PIPE, Command, run
from tests.testing.conftest import NEW, TICKETS


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts `app.py serve` with some options in a folder of its own, and gives its origin."""
    processes = []

    def start(*options, folder=None):
        where = {"cwd": folder or tmp_path_factory.mktemp("desk"), "stdout": PIPE, "stderr": PIPE}
        processes.append(process := Command("serve", "--port", "0", *options, **where))
        line = process.stdout.readline()
        return re.search(r"http://\S+", line)[0] if line else process.stderr.read()

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)
        process.close()


@pytest.fixture(scope="module")
def origin(start):
    return start("--control", "--api-key", "keva_live_control")


@pytest.fixture
def client(origin):
    with httpx.Client(base_url=origin, headers={"Authorization": "Bearer keva_live_control"}, timeout=10) as client:
        assert client.post("/__keva__/reset").status_code == 204
        yield client


def test_seeded_tickets_are_there_until_a_reset(client):
    made = client.post("/__keva__/seed", json={"tickets": [{"subject": "Seen before"}, {}]})
    assert made.status_code == 201
    assert [ticket["subject"] for ticket in made.json()["data"]] == ["Seen before", "A ticket"]
    assert client.get(TICKETS).json()["pagination"]["total"] == 2

    client.post("/__keva__/reset")
    assert client.get(TICKETS).json()["pagination"]["total"] == 0
    assert client.post(TICKETS, json=NEW).json()["data"]["id"] == "tkt_000001"


def test_calls_are_listed_with_the_key_masked_and_the_control_calls_left_out(client):
    client.post(TICKETS, json=NEW)
    client.get(f"{TICKETS}/nope")

    [post, get] = client.get("/__keva__/requests").json()["data"]
    assert (post["method"], post["path"], post["status"], json.loads(post["body"])) == ("POST", TICKETS, 201, NEW)
    assert (get["status"], get["error"][:25]) == (404, "There is no such ticket t")
    assert "keva_live_control" not in json.dumps([post, get])
    assert client.get("/__keva__/requests", params={"method": "GET", "path": f"{TICKETS}/*"}).json()["data"] == [get]


def test_a_wait_that_ran_out_says_so_and_what_came_instead(client):
    answer = client.get("/__keva__/requests", params={"count": 1, "wait": 1})
    assert answer.status_code == 408
    assert answer.json() == {"error": "1 x any method any path did not come within 1 s, but no call at all."}
    assert answer.elapsed.total_seconds() >= 1
    client.get(TICKETS)
    answer = client.get("/__keva__/requests", params={"count": 1, "wait": 0, "method": "POST", "path": TICKETS})
    assert answer.json()["error"] == f"1 x POST {TICKETS} did not come within 0 s, but <GET {TICKETS} 200>."
    for wanted in ("events?type=ticket.closed", "deliveries?type=ticket.closed"):
        answer = client.get(f"/__keva__/{wanted}&count=2&wait=0")
        assert answer.status_code == 408
        assert "ticket.closed did not come within 0 s, but <GET" in answer.json()["error"]


def test_tickets_and_their_messages_are_looked_at_in_calls_that_are_not_recorded(client):
    other = client.post("/__keva__/workspaces", json={"name": "Second desk"}).json()["data"]["id"]
    given = [{"status": "solved"} for _ in range(30)] + [{"workspaceId": other}]
    seeded = client.post("/__keva__/seed", json={"tickets": given}).json()["data"]
    client.post("/__keva__/faults", json={"status": 503})
    assert client.get("/__keva__/tickets").json()["data"] == seeded[::-1]
    assert client.get("/__keva__/tickets", params={"status": "open"}).json()["data"] == [seeded[-1]]
    assert client.get("/__keva__/tickets", params={"workspace_id": other}).json()["data"] == [seeded[-1]]
    messages = client.get(f"/__keva__/tickets/{seeded[0]['id']}/messages").json()["data"]
    assert [message["body"] for message in messages] == ["A message"]
    assert client.get("/__keva__/requests").json()["data"] == []
    assert client.get("/__keva__/tickets/tkt_nope/messages").status_code == 404
    assert client.get("/__keva__/tickets", params={"status": "new"}).status_code == 400


def test_a_wrong_path_tells_the_calls_that_there_are(client):
    answer = client.post("/__keva__/rest")
    assert answer.status_code == 404
    for call in ("POST /__keva__/reset", "GET /__keva__/tickets", "DELETE /__keva__/desks/<desk_id>"):
        assert call in answer.json()["error"]
    assert "__keva__" not in client.get("/api/v1/nothing").json()["error"]


def test_a_fault_meets_calls_with_a_query_and_headers(client):
    fault = {"status": 503, "times": None, "query": {"page": "2"}, "requestHeaders": {"x-trace": "a*"}}
    armed = client.post("/__keva__/faults", json=fault).json()["data"]
    assert (armed["query"], armed["requestHeaders"]) == (fault["query"], fault["requestHeaders"])
    assert client.get(f"{TICKETS}?page=2", headers={"X-Trace": "abc"}).status_code == 503
    assert client.get(f"{TICKETS}?page=2").status_code == 200
    assert client.get(TICKETS, headers={"X-Trace": "abc"}).status_code == 200


def test_faults_are_armed_listed_and_ended(client):
    armed = client.post("/__keva__/faults", json={"status": 503, "times": 2, "path": TICKETS})
    assert armed.status_code == 201
    assert client.get(TICKETS).status_code == 503
    [fault] = client.get("/__keva__/faults").json()["data"]
    assert (fault["hits"], fault["times"], fault["path"]) == (1, 2, TICKETS)

    assert client.delete("/__keva__/faults").status_code == 204
    assert client.get(TICKETS).status_code == 200


def test_a_connection_is_dropped_after_the_ticket_was_stored(client):
    client.post("/__keva__/faults", json={"drop": "reset", "when": "after"})
    with pytest.raises(httpx.TransportError):
        client.post(TICKETS, json=NEW)
    assert client.get(TICKETS).json()["pagination"]["total"] == 1


def test_a_call_is_delayed(client):
    client.post("/__keva__/faults", json={"delay": 0.3})
    assert client.get(TICKETS).elapsed.total_seconds() >= 0.3


def test_the_clock_is_set_moved_and_let_go(client):
    assert client.put("/__keva__/clock", json={"now": "2024-01-15T10:30:00Z"}).json() == {
        "data": {"now": "2024-01-15T10:30:00Z"}
    }
    client.post("/__keva__/clock/advance", json={"seconds": 60})
    assert client.post(TICKETS, json=NEW).json()["data"]["createdAt"] == "2024-01-15T10:31:00Z"
    assert client.put("/__keva__/clock", json={"now": None}).json()["data"]["now"] > "2024-01-16"


def test_keys_and_workspaces_are_made(client):
    workspace = client.post("/__keva__/workspaces", json={"name": "Second desk"})
    key = client.post(
        "/__keva__/keys", json={"scopes": ["tickets:read"], "workspaceId": workspace.json()["data"]["id"]}
    )
    assert (workspace.status_code, key.status_code) == (201, 201)
    headers = {"Authorization": f"Bearer {key.json()['data']['key']}"}
    assert client.post(TICKETS, json=NEW, headers=headers).status_code == 403
    # It reaches one workspace and one scope, so the control endpoints are not for it.
    assert client.post("/__keva__/reset", headers=headers).status_code == 403
    assert client.post("/__keva__/reset", headers={"Authorization": "Bearer keva_live_wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"status": 503, "drop": "reset"}),
        ("faults", {}),
        ("faults", {"status": 503, "path": "/nowhere"}),
        ("faults", {"drop": "gently"}),
        ("faults", {"status": 503, "times": 0}),
        ("faults", {"status": 503, "query": {"page": 2}}),
        ("faults", {"status": 503, "requestHeaders": "X-Trace"}),
        ("seed", {"tickets": [{"status": "new"}]}),
        ("seed", {}),
        ("keys", {"scopes": ["everything"]}),
        ("clock/advance", {"seconds": "60"}),
    ],
)
def test_what_means_nothing_is_refused_in_the_one_shape(client, path, body):
    answer = client.post(f"/__keva__/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert client.get(TICKETS).json()["pagination"]["total"] == 0


def test_without_control_there_are_no_such_paths_and_no_word_of_them(start, client):
    plain = start("--api-key", "keva_live_plain")
    headers = {"Authorization": "Bearer keva_live_plain"}
    assert httpx.post(f"{plain}/__keva__/reset", headers=headers).status_code == 404
    assert "__keva__" not in httpx.get(f"{plain}/openapi.json").text
    assert "/__keva__/reset" in client.get("/openapi.json").json()["paths"]


def test_a_throw_away_desk_leaves_no_file_where_it_was_started(start, tmp_path):
    start("--control", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_a_file_first_made_under_control_is_taken(start, tmp_path):
    real, practice = str(tmp_path / "real.db"), str(tmp_path / "practice.db")
    assert run("seed", "3", "--db", real).returncode == 0
    before = Path(real).read_bytes()

    assert "may hold real tickets" in start("--control", "--db", real)
    assert Path(real).read_bytes() == before
    assert start("--control", "--db", practice).startswith("http://")


def test_a_file_made_under_control_takes_no_real_tickets(start, tmp_path):
    practice = str(tmp_path / "practice.db")
    Sandbox(Path(practice)).database.close()
    assert "is a desk for tests" in start("--db", practice)
