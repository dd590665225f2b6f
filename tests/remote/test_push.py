"""Tickets out to another Keva: each once, with all that the API takes, whatever happens to the calls."""

import json
import re
import subprocess
import sys
from contextlib import closing

import pytest

from keva.errors import FileUnusable, KevaError
from keva.remote.client import Refused, Remote, RemoteFailed
from keva.remote.mapping import Mapping
from keva.remote.push import Plan, Push
from keva.testing import Keva
from tests.conftest import APP, environ
from tests.reliability.served import until


def message(number, **more):
    return {
        "id": f"msg_{number}",
        "direction": "inbound",
        "senderEmail": "customer@example.com",
        "body": f"Message {number}",
        **more,
    }


def ticket(number, *messages, **more):
    return {
        "id": f"tkt_{number}",
        "subject": f"Ticket {number}",
        "status": "open",
        "priority": "medium",
        "customerEmail": "customer@example.com",
        "customerName": None,
        "source": "email",
        "assignedTo": None,
        "resolutionType": None,
        "tags": [],
        "createdAt": "2024-01-15T10:30:00Z",
        "updatedAt": "2024-01-15T10:30:00Z",
        "messages": [message(f"{number}_0"), *messages],
        "workspaceId": "ws_1",
        **more,
    }


@pytest.fixture
def push(remote, tmp_path):
    """Pushes tickets as one run of the command does; gives what it told."""

    def run(*tickets, url=None):
        told = []
        mapping = Mapping(tmp_path / "pushed.jsonl", url or remote.url)
        try:
            pushing = Push(remote, mapping, told.append)
            pushing.begin()
            for one in tickets:
                pushing.send(one)
            return told
        finally:
            mapping.close()

    return run


def calls(keva, method):
    return len(keva.requests(method=method))


def test_all_that_the_api_takes_arrives(keva, push):
    answer = message("a_1", direction="outbound", senderEmail="a@example.com", senderName="Ann", bodyHtml="<p>Hi</p>")
    assert push(ticket("a", answer, status="solved", priority="high", assignedTo="user_1", customerName="Jane")) == []

    [made] = keva.tickets()
    assert (made["subject"], made["source"], made["customerName"]) == ("Ticket a", "email", "Jane")
    assert (made["status"], made["priority"], made["assignedTo"]) == ("solved", "high", "user_1")
    first, second = keva.messages(made["id"])
    assert (first["body"], first["senderName"]) == ("Message a_0", "Jane")
    assert {name: second[name] for name in answer if name != "id"} == {n: v for n, v in answer.items() if n != "id"}


def test_a_second_run_sends_what_is_new_and_nothing_twice(keva, push, there):
    push(ticket("a"), ticket("b", status="pending"))
    [made] = keva.tickets(status="pending")
    there.patch(f"/tickets/{made['id']}", json={"priority": "urgent"})
    before = len(keva.requests())
    push(ticket("a"), ticket("b", status="pending"))
    assert [call.method for call in keva.requests()[before:]] == ["GET"]
    push(ticket("a", message("a_1"), status="closed"), ticket("b", status="pending"), ticket("c"))

    assert [(one["subject"], one["status"], one["priority"]) for one in keva.tickets()] == [
        ("Ticket c", "open", "medium"),
        ("Ticket b", "pending", "urgent"),  # which nobody changed here
        ("Ticket a", "closed", "medium"),
    ]
    assert len(keva.messages(keva.tickets()[2]["id"])) == 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fault", ["reset", "close", "partial", 500, 503])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_call_whose_answer_is_lost_is_made_once(keva, push, when, fault, skip):
    """The first POST makes the ticket, the others its answers. All looks alike, and such a ticket was there before."""
    if fault == "partial" and when == "before":
        pytest.skip("there is no part of an answer before the call")
    keva.seed(subject="Ticket a", customerEmail="customer@example.com", source="email", messages=[message("a_0")])
    arm = keva.drop if isinstance(fault, str) else keva.fail
    arm(fault, method="POST", when=when, skip=skip, times=1)
    push(ticket("a", message("a_1", body="Message a_0"), message("a_2", body="Message a_0")))

    made, _ = keva.tickets()
    assert [one["body"] for one in keva.messages(made["id"])] == ["Message a_0"] * 3


@pytest.mark.parametrize("lost", range(5))
def test_a_run_that_was_cut_off_at_any_call_goes_on_where_it_was(keva, remote, push, monkeypatch, lost):
    """As by a kill: the call took effect, and its answer is known to nobody."""
    tickets = [ticket("a", message("a_1"), status="solved"), ticket("b"), ticket("c", subject="Ticket b")]
    ask, made = remote._ask, []

    def cut_off(request):
        answer = ask(request)
        if request.get_method() != "GET":
            made.append(request)
            if len(made) == lost + 1:
                raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(remote, "_ask", cut_off)
    with pytest.raises(KeyboardInterrupt):
        push(*tickets)
    anothers = [
        keva.seed(
            subject=subject, customerEmail="customer@example.com", source="email", messages=[message(subject[-1:])]
        )
        for subject in ("Ticket a", "Ticket b")
    ]
    push(*tickets)

    made = [one for one in keva.tickets() if one["id"] not in {another["id"] for another in anothers}]
    assert sorted(one["subject"] for one in made) == ["Ticket a", "Ticket b", "Ticket b"]
    [first] = [one for one in made if one["subject"] == "Ticket a"]
    assert len(keva.messages(first["id"])) == 2
    assert first["status"] == "solved"


class TestAtALimit:
    @pytest.fixture
    def keva(self):
        with Keva(rate_limit=5) as desk:
            yield desk

    def test_it_waits_for_the_next_minute_without_being_refused(self, keva, remote, push):
        push(*(ticket(number) for number in range(12)))
        assert len(keva.tickets()) == 12
        assert {call.status for call in keva.requests()} == {200, 201}
        assert remote.pauses == [50, 60]

    def test_it_obeys_a_refusal_all_the_same(self, keva, remote, push, there):
        push(ticket("a"))
        for _ in range(3):
            there.get("/tickets")
        push(ticket("b"))
        assert 429 in {call.status for call in keva.requests()}
        assert [one["subject"] for one in keva.tickets()] == ["Ticket b", "Ticket a"]

    def test_the_plan_tells_how_long_it_takes(self, keva, remote, push, tmp_path):
        push()
        mapping = Mapping(tmp_path / "other.jsonl", remote.url)
        plan = Plan([ticket("a", message("a_1"), status="closed", tags=["x"])] * 4, mapping)
        mapping.close()
        assert list(plan.lines(remote.limit)) == [
            "4 tickets, 12 calls to make, 3 minutes at 5 calls a minute.",
            "Ids, and when all of it was written, cannot be carried over.",
            "Nor can tags: of 4 tickets.",
        ]


def test_it_gives_up_after_about_a_minute_and_goes_on_later(keva, remote, push):
    push(ticket("a"))
    fault = keva.fail(502, body="<html>Bad gateway</html>", method="POST", times=None)
    with pytest.raises(RemoteFailed, match=r"POST /api/v1/tickets answered 502, '<html>Bad gateway</html>', 7 times"):
        push(ticket("a"), ticket("b"))
    assert sum(remote.pauses) == 63
    fault.cancel()
    push(ticket("a"), ticket("b"))
    assert [one["subject"] for one in keva.tickets()] == ["Ticket b", "Ticket a"]


def test_a_ticket_that_is_refused_stops_no_other(keva, push):
    keva.fail(422, body='{"error": "Validation failed"}', headers={"Content-Type": "application/json"}, method="POST")
    [told] = push(ticket("a"), ticket("b"))
    assert told.startswith("tkt_a: ")
    assert "answered 422, 'Validation failed'." in told
    assert [one["subject"] for one in keva.tickets()] == ["Ticket b"]


def test_a_change_that_is_refused_is_told_and_counted(keva, remote, tmp_path):
    keva.fail(422, body='{"error": "No such status"}', headers={"Content-Type": "application/json"}, method="PATCH")
    told = []
    with closing(Mapping(tmp_path / "pushed.jsonl", remote.url)) as mapping:
        pushing = Push(remote, mapping, told.append)
        pushing.begin()
        for one in (ticket("a", status="closed"), ticket("b", status="closed")):
            pushing.send(one)
    assert [line.partition(":")[0] for line in told] == ["tkt_a"]
    assert pushing.refused == 1
    assert [one["status"] for one in keva.tickets()] == ["closed", "open"]


def test_an_assignee_who_is_not_there_keeps_back_nothing_else(keva, push):
    keva.fail(422, body='{"error": "Unknown user"}', headers={"Content-Type": "application/json"}, method="PATCH")
    [told] = push(ticket("a", status="closed", assignedTo="user_1"))
    assert told.startswith("tkt_a: not assigned to 'user_1'. ")
    [made] = keva.tickets()
    assert (made["status"], made["assignedTo"]) == ("closed", None)
    assert push(ticket("a", status="closed", assignedTo="user_1")) == []


def begin_and_send(push, one):
    push.begin()
    push.send(one)


def test_what_cannot_be_carried_is_told(tmp_path):
    odd = [message("a_0", direction="outbound", senderEmail="a@example.com", bodyHtml="<p>Hi</p>")]
    mapping = Mapping(tmp_path / "pushed.jsonl", "http://127.0.0.1:1")
    plan = Plan([ticket("a", messages=odd, resolutionType="x"), ticket("b", workspaceId="ws_2")], mapping)
    mapping.close()
    assert list(plan.lines(None))[2:] == [
        "Nor can the resolution type: of 1 tickets.",
        "Nor can who sent the first message, where that is not the customer: of 1 tickets.",
        "Nor can the HTML of the first message: of 1 tickets.",
        "Nor can which workspace a ticket is in: of 2 tickets.",
    ]


@pytest.mark.parametrize(
    ("scopes", "workspace", "told"),
    [(["tickets:write"], None, "tickets:read"), (["tickets:read"], None, "tickets:write"), (None, None, "401")],
)
def test_a_key_that_does_not_do_ends_it_at_once(keva, tmp_path, scopes, workspace, told):
    key = keva.create_key(scopes=scopes, workspace=workspace) if scopes else "keva_live_wrong"
    remote = Remote(keva.url, key)
    mapping = Mapping(tmp_path / "pushed.jsonl", remote.url)
    push = Push(remote, mapping, print)
    with pytest.raises(Refused, match=told), closing(mapping):
        begin_and_send(push, ticket("a"))
    assert keva.tickets() == []


class TestMapping:
    def test_a_line_that_was_cut_off_is_as_if_not_written(self, keva, push, tmp_path):
        push(ticket("a"))
        file = tmp_path / "pushed.jsonl"
        whole = file.read_bytes()
        file.write_bytes(whole[:-5])  # the answer to the create
        push(ticket("a"))
        assert len(keva.tickets()) == 1
        assert file.read_bytes() == whole

    def test_it_tells_which_became_which(self, keva, push, tmp_path):
        push(ticket("a", message("a_1")))
        told = [json.loads(line) for line in (tmp_path / "pushed.jsonl").read_text().splitlines()]
        assert {line["id"]: line["became"] for line in told if "became" in line} == {
            "tkt_a": "tkt_000001",
            "msg_a_1": "msg_000002",
        }

    @pytest.mark.parametrize("held", ['{"id": "tkt_1"}\n', "no JSON\n", "[]\n", '{"to": 1}\n'])
    def test_another_file_is_left_alone(self, tmp_path, held):
        file = tmp_path / "other"
        file.write_text(held)
        with pytest.raises(FileUnusable, match="is no mapping of a push"):
            Mapping(file, "http://127.0.0.1:1")
        assert file.read_text() == held

    def test_one_of_another_keva_is_refused(self, push):
        push()
        with pytest.raises(FileUnusable, match="is of a push to http:"):
            push(url="http://127.0.0.1:1")

    def test_two_pushes_at_once_are_refused(self, tmp_path):
        mapping = Mapping(tmp_path / "pushed.jsonl", "http://127.0.0.1:1")
        with pytest.raises(FileUnusable, match="is used by another push"):
            Mapping(tmp_path / "pushed.jsonl", "http://127.0.0.1:1")
        mapping.close()


def test_the_command_killed_in_the_middle_and_run_again_makes_nothing_twice(keva, cli, tmp_path):
    assert cli("seed", 12).returncode == 0
    command = [sys.executable, APP, "push", "--to", keva.url]
    variables = environ(KEVA_REMOTE_KEY=keva.key)
    held = keva.delay(60, method="POST", skip=14, when="after")
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.PIPE)
    until(lambda: held.hits, 30)
    process.kill()
    process.communicate()
    keva.clear_faults()

    done = cli("push", "--to", keva.url, KEVA_REMOTE_KEY=keva.key)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"All tickets of keva.db are at {keva.url}.")
    assert keva.key not in done.stderr + (tmp_path / "pushed.jsonl").read_text()
    exported = [json.loads(line) for line in cli("export", "-").stdout.splitlines()]
    names = ("subject", "customerEmail", "status", "priority")
    here = [([one[name] for name in names], [m["body"] for m in one["messages"]]) for one in exported]
    made = [([one[name] for name in names], [m["body"] for m in keva.messages(one["id"])]) for one in keva.tickets()]
    assert made[::-1] == here


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1", "http://127.0.0.1:1: refused the connection."),
        ("http://nowhere.invalid", "http://nowhere.invalid: the name does not resolve."),
        ("ftp://example.com", "'ftp://example.com' is no address of a Keva"),
        ("https://key@example.com", "is no address of a Keva"),
        ("https://127.0.0.1:1/?page=1", "is no address of a Keva"),
    ],
)
def test_an_address_that_is_none_ends_it_at_once(monkeypatch, url, told):
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(KevaError, match=re.escape(told)):
        next(Remote(url, "keva_live_x", sleep=at_once).tickets())


def at_once(seconds):
    assert seconds == 0, "it waits, though it cannot get any better"


def test_what_does_not_speak_tls_is_told(keva):
    with pytest.raises(RemoteFailed, match="does not speak TLS as we do"):
        next(Remote(keva.url.replace("http", "https"), "keva_live_x", sleep=lambda _: None).tickets())


def test_a_key_is_needed(cli):
    assert "KEVA_REMOTE_KEY" in cli("pull", "--from", "http://127.0.0.1:1").stderr
