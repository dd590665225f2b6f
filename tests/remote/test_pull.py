"""Tickets in from another Keva: as it has them, with each difference named."""

import io
import json

import pytest

from keva.remote.client import RemoteFailed
from keva.remote.pull import pull

HEADERS = {"Content-Type": "application/json"}


def pulled(remote):
    lines = io.BytesIO()
    number = pull(remote, lines, lambda *_: None)
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert len(found) == number
    return found


def test_a_desk_that_is_pulled_and_imported_answers_as_the_first_did(keva, remote, cli):
    keva.seed([{"subject": f"Ticket {number}", "tags": ["x"]} for number in range(120)])
    keva.answer("tkt_000003", "It is on its way.", status="solved", resolution_type="answered")
    done = cli("pull", "tickets.jsonl", "--from", keva.url, KEVA_REMOTE_KEY=keva.key)
    assert (done.stdout, done.stderr) == (f"Pulled 120 tickets from {keva.url} to tickets.jsonl.\n", "")

    assert cli("import", "tickets.jsonl").returncode == 0
    exported = [json.loads(line) for line in cli("export", "-").stdout.splitlines()]
    assert [{k: v for k, v in one.items() if k != "workspaceId"} for one in exported] == pulled(remote)
    assert list(remote.differences) == []


def test_faults_and_limits_on_the_way_change_nothing(keva, remote):
    keva.seed([{"subject": f"Ticket {number}"} for number in range(5)])
    keva.fail(503, headers={"Retry-After": "7"}, skip=1)
    keva.fail(429, skip=2)
    keva.drop("partial", skip=3)
    assert [one["subject"] for one in pulled(remote)] == [f"Ticket {number}" for number in range(5)]
    assert remote.pauses == [7, 1, 1]


def test_a_ticket_that_is_made_meanwhile_costs_no_other(keva, remote):
    keva.seed([{"subject": f"Ticket {number}"} for number in range(150)])
    tickets = remote.tickets()
    found = [next(tickets)["id"]]
    keva.seed()
    found += [one["id"] for one in tickets]
    assert len(set(found)) == 150


def a_page(ticket, **more):
    return json.dumps({"data": [ticket], "pagination": {"page": 1, "perPage": 100, "total": 1}, **more})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "new"}, "data.*.status is 'new': this Keva's would be 'open', 'pending', 'solved' or 'closed'"),
        ({"colour": "red"}, "data.*.colour is a field that this Keva does not answer with"),
        ({"tags": None}, "data.*.tags is null: this Keva's would be a valid list"),
        ({"id": "TKT-1"}, "data.*.id is a text: this Keva's would match pattern '^tkt_[0-9A-Za-z_-]{1,64}$'"),
        ({"subject": 5}, "data.*.subject is a number: this Keva's would be a valid string"),
    ],
)
def test_what_differs_is_named_and_not_what_people_wrote(keva, remote, changes, told):
    ticket = keva.seed() | changes
    keva.fail(200, body=a_page(ticket), headers=HEADERS, path="/api/v1/tickets")
    if "id" in changes:
        keva.fail(200, body='{"data": []}', headers=HEADERS)
    [line] = pulled(remote)
    assert line.keys() - {"messages"} == keva.tickets()[0].keys()
    assert list(remote.differences) == [f"{told} (1 times, first in the answer to GET /api/v1/tickets)"]


def test_a_field_that_is_missing_is_named(keva, remote):
    ticket = keva.seed()
    del ticket["resolutionType"]
    keva.fail(200, body=a_page(ticket, extra=1), headers=HEADERS, path="/api/v1/tickets")
    pulled(remote)
    assert [line.partition(" (")[0] for line in remote.differences] == [
        "data.*.resolutionType is missing",
        "extra is a field that this Keva does not answer with",
    ]


def test_another_order_is_named(keva, remote):
    older, newer = keva.seed([{"createdAt": "2024-01-15T10:30:00Z"}, {"createdAt": "2024-01-16T10:30:00Z"}])
    body = {"data": [older, newer], "pagination": {"page": 1, "perPage": 100, "total": 2}}
    keva.fail(200, body=json.dumps(body), headers=HEADERS, path="/api/v1/tickets")
    pulled(remote)
    assert any("not listed newest first" in line for line in remote.differences)


@pytest.mark.parametrize("body", ["<html>", "[]", '{"data": 1}', '{"data": [{"subject": "x"}]}', '{"tickets": []}'])
def test_what_is_no_tickets_api_is_told_in_a_sentence(keva, remote, body):
    keva.fail(200, body=body)
    with pytest.raises(RemoteFailed, match=r"\.$"):
        pulled(remote)


def test_a_redirect_is_not_followed_since_the_key_would_go_along(keva, remote):
    keva.fail(302, headers={"Location": f"{keva.url}/healthz"})
    with pytest.raises(RemoteFailed, match="answered 302"):
        pulled(remote)
    assert len(keva.requests()) == 1


def test_a_file_that_is_no_export_is_left_alone(keva, cli, tmp_path):
    (tmp_path / "notes").write_text("mine")
    done = cli("pull", "notes", "--from", keva.url, KEVA_REMOTE_KEY=keva.key)
    assert done.returncode == 1
    assert (tmp_path / "notes").read_text() == "mine"
