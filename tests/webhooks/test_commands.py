"""The commands for webhooks, and a server that heeds them."""

import base64
import json
import os
import re
import time

import pytest
from standardwebhooks import Webhook

from tests.receiver import Receiver, status, unused_port
from tests.reliability.conftest import db, figures, serve  # noqa: F401
from tests.reliability.served import keva, refused, until


@pytest.fixture
def run(db):  # noqa: F811
    """Runs `webhooks ...` on the database of the test."""
    keva("import", os.devnull, "--db", db)
    return lambda *words: keva("webhooks", *words, "--db", db)


def made(run, url, *options):
    """The id and the secret of a new webhook."""
    return run("create", url, *options).stdout.split()


def table(done):
    """The rows of what was listed, by their columns."""
    head, *rows = (re.split(r"  +", line) for line in done.stdout.splitlines())
    return [dict(zip(head, row, strict=False)) for row in rows]


def test_a_webhook_is_made_and_its_secret_shown_this_once(run):
    webhook, secret = made(run, "https://user:pass-word@example.com/keva", "--event", "ticket.closed")
    assert re.fullmatch(r"hook_[0-9a-z]{20}", webhook)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    listed = run("list").stdout
    assert secret.removeprefix("whsec_") not in listed
    assert "pass-word" not in listed
    [row] = table(run("list"))
    assert (row["id"], row["url"], row["events"], row["due"]) == (
        webhook,
        "https://user:***@example.com/keva",
        "ticket.closed",
        "0",
    )


def test_it_may_be_of_one_workspace(run, db):  # noqa: F811
    workspace = keva("workspaces", "create", "--name", "Other", "--db", db).stdout.split()[0]
    made(run, "http://127.0.0.1:1/", "--workspace", workspace, "--event", "ticket.created", "--event", "ticket.closed")
    [row] = table(run("list"))
    assert (row["workspace_id"], row["events"]) == (workspace, "ticket.created,ticket.closed")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "ftp://example.com"), "give one such as https://example.com/keva"),
        (("create", "http://example.com", "--workspace", "ws_nowhere"), "There is no workspace ws_nowhere"),
        (("delete", "hook_nowhere"), "There is no webhook hook_nowhere: 'webhooks list' shows the ids."),
        (("on", "hook_nowhere"), "There is no webhook"),
        (("rotate", "hook_nowhere"), "There is no webhook"),
        (("send", "hook_nowhere", "--event", "ticket.closed"), "There is no webhook"),
        (("deliveries", "hook_nowhere"), "There is no webhook"),
        (("retry", "evt_nowhere"), "There is no delivery of evt_nowhere"),
        (("retry", "--failed", "--since", "yesterday"), "give one such as 2024-01-15T10:30:00Z"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(run, words, sentence):
    made(run, "http://127.0.0.1:1/")
    assert sentence in refused(run(*words))


@pytest.mark.parametrize(
    "words",
    [
        ("create", "http://example.com", "--event", "ticket.lost"),
        ("create",),
        ("send", "hook_1"),
        ("retry",),
        ("retry", "evt_1", "--failed"),
        ("retry", "evt_1", "--since", "2024-01-15T10:30:00Z"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(run, words):
    assert run(*words).returncode == 2


@pytest.mark.parametrize("kind", ["ticket.created", "ticket.updated", "ticket.closed", "message.created"])
def test_a_sample_is_sent_now_and_what_came_back_is_told(run, kind):
    with Receiver() as receiver:
        webhook, secret = made(run, receiver.url)
        told = run("send", webhook, "--event", kind)
    [call] = receiver.calls
    assert call.event["type"] == kind
    assert Webhook(secret).verify(call.body, call.headers) == call.event
    assert re.fullmatch(rf"{call.id} was delivered in \d+\.\d\d s: 200\. It said: \"ok\"\n", told.stdout)
    assert table(run("deliveries")) == []


def test_a_sample_that_is_not_delivered_is_told_with_its_reason_and_exit_code_1(run):
    webhook, _ = made(run, f"http://127.0.0.1:{unused_port()}/")
    assert refused(run("send", webhook, "--event", "ticket.closed")).endswith(
        "was not delivered: refused the connection."
    )
    with Receiver(lambda *_: status(500, body="\x1b[31mred")) as receiver:
        webhook, _ = made(run, receiver.url)
        assert '"\\u001b[31mred"' in refused(run("send", webhook, "--event", "ticket.closed"))


def test_a_served_desk_sends_what_happens_and_lists_what_was_sent(run, serve):  # noqa: F811
    with Receiver() as receiver:
        server = serve()
        webhook, secret = made(run, receiver.url)
        with server.client() as client:
            ticket = client.create().data["id"]
            client.change(ticket, status="solved")
        calls = receiver.wait_for(3)
        assert [call.event["type"] for call in calls] == ["ticket.created", "ticket.updated", "ticket.closed"]
        for call in calls:
            Webhook(secret).verify(call.body, call.headers)
        until(lambda: len(table(run("deliveries"))) == 3)
        assert table(run("list"))[0]["due"] == "0"
    first, *_ = table(run("deliveries", webhook))
    assert (first["event"], first["type"], first["tries"], first["status"], first["outcome"], first["answer"]) == (
        calls[0].id,
        "ticket.created",
        "1",
        "200",
        "delivered",
        "ok",
    )
    assert first["next_at"] == "-"
    assert server.stop() == 0
    assert secret not in server.log


def test_a_failure_is_listed_and_sent_again_when_asked_by_a_running_server(run, serve):  # noqa: F811
    answers = [status(500, body="no"), status(500, body="no")]
    with Receiver(lambda *_: answers.pop(0) if answers else status(200)) as receiver:
        made(run, receiver.url)
        with serve().client() as client:
            client.create()
            client.create()
        until(lambda: len(table(run("deliveries", "--failed"))) == 2)
        first, second = table(run("deliveries", "--failed"))
        assert first["outcome"] == "answered 500"
        assert first["next_at"] > first["tried_at"]
        [row] = table(run("list"))
        assert row["due"] == "2"
        assert row["failing_since"] == first["tried_at"]
        assert run("retry", first["event"]).stdout == "Due now: 1.\n"
        receiver.wait_for(3)
        assert run("retry", "--failed", "--since", second["tried_at"]).stdout in ("Due now: 1.\n", "Due now: 2.\n")
        receiver.wait_until(lambda calls: {call.id for call in calls[2:]} == {first["event"], second["event"]})
        until(lambda: table(run("deliveries", "--failed")) == [])


def test_a_rotated_secret_is_heeded_by_a_running_server_and_both_sign(run, serve):  # noqa: F811
    with Receiver() as receiver:
        webhook, old = made(run, receiver.url)
        with serve().client() as client:
            client.create()
            receiver.wait_for(1)
            _, new = run("rotate", webhook).stdout.split()
            client.create()
            _, call = receiver.wait_for(2)
    assert new != old
    for secret in (old, new):
        Webhook(secret).verify(call.body, call.headers)


def test_a_deleted_webhook_is_sent_nothing_more(run, serve):  # noqa: F811
    with Receiver() as receiver, Receiver() as other:
        webhook, _ = made(run, receiver.url)
        made(run, other.url)
        with serve().client() as client:
            client.create()
            receiver.wait_for(1)
            assert run("delete", webhook).stdout == f"Deleted {webhook}.\n"
            client.create()
            other.wait_for(2)
        assert len(receiver.calls) == 1


def test_a_receiver_that_was_gone_is_heard_of_and_sent_to_once_it_is_on(run, serve):  # noqa: F811
    gone = [True]
    with Receiver(lambda *_: status(410 if gone[0] else 200)) as receiver:
        webhook, _ = made(run, receiver.url)
        with serve().client() as client:
            client.create()
            until(lambda: table(run("list"))[0].get("off_because", "-") != "-")
            assert "answered 410" in run("list").stdout
            waiting = client.create().data["id"]
            gone[0] = False
            assert run("on", webhook).stdout == f"{webhook} is on.\n"
            receiver.wait_until(lambda calls: waiting in calls[-1].body.decode())


def test_a_stopping_server_lets_the_try_under_way_finish(run, serve):  # noqa: F811
    def answer(*_):
        time.sleep(1)
        return status(200)

    with Receiver(answer) as receiver:
        made(run, receiver.url)
        server = serve()
        with server.client() as client:
            client.create()
        receiver.wait_for(1)
        assert server.stop() == 0
        [row] = table(run("deliveries"))
        assert row["outcome"] == "delivered"


def test_a_try_that_outlasts_the_stop_is_made_again_by_the_next_server(run, serve):  # noqa: F811
    hangs = [True]

    def answer(*_):
        if not hangs[0]:
            return status(200)
        time.sleep(30)
        return None

    with Receiver(answer) as receiver:
        made(run, receiver.url)
        server = serve()
        with server.client() as client:
            client.create()
        receiver.wait_for(1)
        assert server.stop() == 0
        assert table(run("deliveries")) == []
        hangs[0] = False
        serve()
        first, second = receiver.wait_for(2)
    assert first.id == second.id


def test_an_export_has_no_webhooks_and_a_backup_has_them(run, db, tmp_path):  # noqa: F811
    webhook, secret = made(run, "http://127.0.0.1:1/secret-path")
    keva("seed", 3, "--db", db)
    keva("export", tmp_path / "tickets", "--db", db)
    keva("backup", tmp_path / "backup.db", "--db", db)
    exported = (tmp_path / "tickets").read_text()
    assert not re.search("hook_|whsec_|secret-path", exported)
    assert webhook in keva("webhooks", "list", "--db", tmp_path / "backup.db").stdout
    assert base64.b64decode(secret.removeprefix("whsec_")) in (tmp_path / "backup.db").read_bytes()
    assert all(json.loads(line)["id"] for line in exported.splitlines())
