"""The commands for webhooks, which a running server heeds within a second."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from keva import times
from keva.cli import streams
from keva.cli.common import open_database, show_table, takes, undone_unless_shown
from keva.cli.settings import DB_THERE
from keva.envelopes import envelope, example
from keva.errors import Invalid, KevaError
from keva.events import TYPES
from keva.identity import mint
from keva.storage.database import Database
from keva.webhooks import outbox, registry
from keva.webhooks.addresses import shown
from keva.webhooks.client import Client

_AT_A_TIME = 500  # deliveries read at once
_COLUMNS = ["event", "type", "webhook", "tries", "status", "outcome", "tried_at", "next_at", "answer"]
_WIDTHS = dict(zip(_COLUMNS, (24, 15, 25, 5, 6, 40, 20, 20, 0), strict=True))
_TYPE = click.Choice(TYPES)


@click.group("webhooks")
def webhook_group() -> None:
    """Make and look after webhooks, which tell other programs."""


@webhook_group.command("create")
@takes(DB_THERE)
@click.argument("url")
@click.option("--event", "types", multiple=True, type=_TYPE, help="What to send; may be repeated; all without this.")
@click.option("--workspace", metavar="ID", help="The one workspace it is told of; all without this.")
def create_webhook(db: Path, url: str, types: tuple[str, ...], workspace: str | None) -> None:
    """Make a webhook that sends what happens from now on to URL, and show its secret this once."""
    with open_database(db) as database, database.write() as tx:
        made = registry.create(tx, url, types or None, workspace)
        with undone_unless_shown("webhook"):
            streams.show(f"{made['id']}  {made['secret']}")


@webhook_group.command("list")
@takes(DB_THERE)
def list_webhooks(db: Path) -> None:
    """List the webhooks, with what is due and since when it fails, without their secrets."""
    with open_database(db) as database, database.snapshot() as reader:
        found = registry.list_all(reader, database.clock())
        rows = [_overview(webhook, outbox.overview(reader, webhook)) for webhook in found]
    show_table(["id", "url", "events", "workspace_id", "due", "failing_since", "off_because"], rows)


@webhook_group.command("delete")
@takes(DB_THERE)
@click.argument("webhook_id", metavar="ID")
def delete_webhook(db: Path, webhook_id: str) -> None:
    """Delete the webhook with that id, and drop what is due."""
    with open_database(db) as database, database.write() as tx:
        registry.delete(tx, webhook_id)
    streams.confirm(f"Deleted {webhook_id}.")


@webhook_group.command("on")
@takes(DB_THERE)
@click.argument("webhook_id", metavar="ID")
def switch_on(db: Path, webhook_id: str) -> None:
    """Switch the webhook with that id on again; it goes on from where it had come to."""
    with open_database(db) as database, database.write() as tx:
        registry.switch_on(tx, webhook_id)
    streams.confirm(f"{webhook_id} is on.")


@webhook_group.command("rotate")
@takes(DB_THERE)
@click.argument("webhook_id", metavar="ID")
def rotate(db: Path, webhook_id: str) -> None:
    """Give the webhook a new secret, and show it this once; for 24 hours the old one signs too."""
    with open_database(db) as database, database.write() as tx:
        secret = registry.rotate(tx, webhook_id, database.clock())
        with undone_unless_shown("new secret"):
            streams.show(f"{webhook_id}  {secret}")


@webhook_group.command("send")
@takes(DB_THERE)
@click.argument("webhook_id", metavar="ID")
@click.option("--event", "kind", required=True, type=_TYPE, help="Which sample to send.")
def send_sample(db: Path, webhook_id: str, kind: str) -> None:
    """Send a sample event now, and tell what came back; nothing is kept of it."""
    with open_database(db) as database:
        with database.snapshot() as reader:
            webhook = registry.get(reader, webhook_id, database.clock())
        event_id = mint("evt")
        body = envelope(kind, event_id, database.now(), example(kind))
    began = time.perf_counter()
    with closing(Client()) as client:
        answer = client.post(webhook.url or "", event_id, body, webhook.secrets)
    if answer.error:
        raise KevaError(f"{event_id} was not delivered: {answer.error}." + _quoted(answer.text))
    streams.confirm(
        f"{event_id} was delivered in {time.perf_counter() - began:.2f} s: {answer.status}.{_quoted(answer.text)}"
    )


@webhook_group.command("deliveries")
@takes(DB_THERE)
@click.argument("webhook_id", metavar="[ID]", required=False)
@click.option("--failed", is_flag=True, help="Those alone whose last try failed.")
def list_deliveries(db: Path, webhook_id: str | None, failed: bool) -> None:
    """List what was sent, to all webhooks or the one with that id: how often, what came back, when it is tried next."""
    with open_database(db) as database:
        if webhook_id is not None:
            with database.snapshot() as reader:
                registry.get(reader, webhook_id, database.clock())
        _show(dict(zip(_COLUMNS, _COLUMNS, strict=True)))
        for delivery in _deliveries(database, webhook_id, failed):
            _show(_row(delivery))


@webhook_group.command("retry")
@takes(DB_THERE)
@click.argument("events", metavar="EVENT...", nargs=-1)
@click.option("--failed", is_flag=True, help="All whose last try failed.")
@click.option("--since", metavar="TIME", help="With --failed: those that were tried at that time or later.")
def retry(db: Path, events: tuple[str, ...], failed: bool, since: str | None) -> None:
    """Make deliveries due now: those of the EVENTs, or with --failed all that failed."""
    if bool(events) == failed:
        raise click.UsageError("Name events, or give --failed for all that failed.")
    if since is not None and not failed:
        raise click.UsageError("--since goes with --failed.")
    start = 0.0 if since is None else _seconds(since)
    with open_database(db) as database, database.write() as tx:
        now = database.clock()
        number = outbox.retry_failed(tx, start, now) if failed else outbox.retry(tx, events, now)
    streams.confirm(f"Due now: {number}.")


def _overview(webhook: registry.Webhook, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": shown(webhook.url or ""),
        "events": ",".join(webhook.types or ("all",)),
        "workspace_id": webhook.workspace_id,
        "due": str(told["due"]),
        "failing_since": _time(told["failing_since"]),
        "off_because": webhook.off_because,
    }


def _deliveries(database: Database, webhook_id: str | None, failed: bool) -> Iterator[dict[str, Any]]:
    """All of them, a number at a time: there may be a month's."""
    place = (0, 0)
    while True:
        with database.snapshot() as reader:
            found = outbox.list_deliveries(reader, webhook_id, failed, place, _AT_A_TIME)
        yield from found
        if len(found) < _AT_A_TIME:
            return
        place = found[-1]["place"]


def _row(delivery: dict[str, Any]) -> dict[str, str]:
    error, next_at = delivery["error"], delivery["next_at"]
    outcome = "delivered" if error is None else error if next_at is not None else f"given up: {error}"
    times = {"tried_at": _time(delivery["tried_at"]), "next_at": _time(next_at)}
    answer = {"answer": json.dumps(delivery["answer"] or "", ensure_ascii=True)[1:-1]}
    return {key: str(value) for key, value in (delivery | {"outcome": outcome} | times | answer).items()}


def _show(row: dict[str, str]) -> None:
    cells = ("-" if row[column] in ("None", "") else row[column] for column in _COLUMNS)
    streams.show("  ".join(map(str.ljust, cells, _WIDTHS.values())).rstrip())


def _quoted(text: str | None) -> str:
    return f" It said: {json.dumps(text)}" if text else ""


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else times.timestamp(seconds)


def _seconds(text: str) -> float:
    try:
        return times.parse(text).timestamp()
    except ValueError:
        raise Invalid(f"{text!r} is not a time: give one such as 2024-01-15T10:30:00Z.") from None


COMMANDS = (webhook_group,)
