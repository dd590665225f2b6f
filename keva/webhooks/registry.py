"""Which webhooks there are, and which events each of them wants."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keva.errors import Invalid, NotFound
from keva.events import TYPES
from keva.identity import seq_of_workspace
from keva.storage.transaction import Reader, Transaction
from keva.webhooks import signing
from keva.webhooks.addresses import check_url

ROTATION_SECONDS = 24 * 3600.0  # for which the old secret signs too

_WEBHOOK = """
SELECT webhooks.seq, webhooks.id, url, types, workspace, workspaces.id, secret,
  CASE WHEN old_until > :now THEN old_secret END, cursor, off_because
FROM webhooks LEFT JOIN workspaces ON workspaces.seq = workspace
"""


@dataclass(frozen=True)
class Webhook:
    """`url` is None for a function of a test's, `types` and `workspace` for all of them."""

    seq: int
    id: str
    url: str | None
    types: tuple[str, ...] | None
    workspace: int | None
    workspace_id: str | None
    secrets: tuple[bytes, ...]
    cursor: int
    off_because: str | None

    def wants(self, kind: str, workspace: int | None) -> bool:
        """Whether it is sent events of that type from that workspace; None is an event made up by a test."""
        here = self.workspace is None or workspace in (None, self.workspace)
        return here and (self.types is None or kind in self.types)


def create(
    tx: Transaction, url: str | None, types: Iterable[str] | None = None, workspace_id: str | None = None
) -> dict[str, Any]:
    """Makes a webhook for what happens from now on; its secret is told this once."""
    secret = signing.new_secret()
    row = tx.insert(
        "hook",
        """
        INSERT INTO webhooks (id, url, types, workspace, secret, cursor, created_at)
        VALUES (:id, :url, :types, :workspace, :secret, (SELECT ifnull(max(seq), 0) FROM events), :now)
        ON CONFLICT (id) DO NOTHING
        RETURNING id
        """,
        {
            "url": None if url is None else check_url(url),
            "types": None if types is None else json.dumps(_checked(types)),
            "workspace": workspace_id and seq_of_workspace(tx, workspace_id),
            "secret": secret,
            "now": tx.now,
        },
    )
    return {"id": row[0], "secret": signing.secret_text(secret)}


def find(reader: Reader, webhook_id: str, now: float) -> Webhook | None:
    row = reader.one(f"{_WEBHOOK} WHERE webhooks.id = :id", {"id": webhook_id, "now": now})
    return row and _webhook(row)


def get(reader: Reader, webhook_id: str, now: float) -> Webhook:
    """The webhook with that id; NotFound when there is none."""
    found = find(reader, webhook_id, now)
    if found is None:
        raise _no_such_webhook(webhook_id)
    return found


def list_all(reader: Reader, now: float) -> list[Webhook]:
    """Every webhook, oldest first."""
    return [_webhook(row) for row in reader.all(f"{_WEBHOOK} ORDER BY webhooks.seq", {"now": now})]


def with_urls(reader: Reader, now: float) -> list[Webhook]:
    """Those that are sent to by themselves."""
    return [webhook for webhook in list_all(reader, now) if webhook.url is not None]


def delete(tx: Transaction, webhook_id: str) -> None:
    """Ends it and drops what is due."""
    tx.all("DELETE FROM deliveries WHERE webhook = (SELECT seq FROM webhooks WHERE id = ?)", (webhook_id,))
    _one(tx.all("DELETE FROM webhooks WHERE id = ? RETURNING seq", (webhook_id,)), webhook_id)


def switch_on(tx: Transaction, webhook_id: str) -> None:
    """Sends again, from where it had come to."""
    _one(tx.all("UPDATE webhooks SET off_because = NULL WHERE id = ? RETURNING seq", (webhook_id,)), webhook_id)


def rotate(tx: Transaction, webhook_id: str, now: float) -> str:
    """Gives it a new secret, which is told this once; the old one signs too for a day."""
    secret = signing.new_secret()
    rows = tx.all(
        """
        UPDATE webhooks SET old_secret = secret, old_until = :until, secret = :secret
        WHERE id = :id RETURNING seq
        """,
        {"id": webhook_id, "secret": secret, "until": now + ROTATION_SECONDS},
    )
    _one(rows, webhook_id)
    return signing.secret_text(secret)


def _webhook(row: Any) -> Webhook:
    seq, webhook_id, url, types, workspace, workspace_id, secret, old_secret, cursor, off_because = row
    secrets = (secret,) if old_secret is None else (secret, old_secret)
    wanted = None if types is None else tuple(json.loads(types))
    return Webhook(seq, webhook_id, url, wanted, workspace, workspace_id, secrets, cursor, off_because)


def _checked(types: Iterable[str]) -> list[str]:
    given = set(types)
    if not given:
        raise Invalid("A webhook without events is never sent anything: name some, or leave them out for all.")
    if not given <= set(TYPES):
        unknown = min(map(str, given - set(TYPES)))
        raise Invalid(f"There is no event {unknown}: there are {', '.join(TYPES)}.")
    return [kind for kind in TYPES if kind in given]


def _one(rows: list[Any], webhook_id: str) -> None:
    if not rows:
        raise _no_such_webhook(webhook_id)


def _no_such_webhook(webhook_id: str) -> NotFound:
    return NotFound(f"There is no webhook {webhook_id}: 'webhooks list' shows the ids.")
