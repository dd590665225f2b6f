"""The webhooks within a user's reach, with what they delivered; only the shell makes and ends them."""

from dataclasses import dataclass

from flask import Blueprint, Response, request

from keva import times
from keva.errors import NotFound
from keva.inbox.context import database, user
from keva.inbox.responses import see
from keva.storage.transaction import Reader
from keva.webhooks import history, outbox, registry
from keva.webhooks.addresses import shown
from keva.webhooks.history import Delivery
from keva.webhooks.registry import Webhook

bp = Blueprint("webhooks", __name__, url_prefix="/inbox/settings/webhooks")

_SHOWN = 20  # deliveries of each


@dataclass(frozen=True)
class Overview:
    """A webhook as the settings show it: no secret, and no password in its URL."""

    id: str
    url: str
    types: str
    workspace_id: str | None
    due: int
    failing_since: str | None
    off_because: str | None
    deliveries: list[Delivery]


@bp.post("/retry")
def retry() -> Response:
    """Sends one delivery again, within a second or so."""
    with database().write() as tx:
        now = database().clock()
        found = [webhook for webhook in _within_reach(tx, now) if webhook.id == request.form.get("webhook")]
        if not found:
            raise NotFound("There is no such webhook that you reach.")
        history.retry(tx, found[0], request.form.get("event", ""), now)
    return see("/inbox/settings?saved=retry#webhooks-heading")


def overviews(reader: Reader) -> list[Overview]:
    """The webhooks that the user may see, oldest first."""
    return [_overview(reader, webhook) for webhook in _within_reach(reader, database().clock())]


def _within_reach(reader: Reader, now: float) -> list[Webhook]:
    workspace = user().workspace
    return [webhook for webhook in registry.with_urls(reader, now) if workspace in (None, webhook.workspace)]


def _overview(reader: Reader, webhook: Webhook) -> Overview:
    told = outbox.overview(reader, webhook)
    since = told["failing_since"]
    return Overview(
        webhook.id,
        shown(webhook.url or ""),
        ", ".join(webhook.types or ("all",)),
        webhook.workspace_id,
        told["due"],
        None if since is None else times.timestamp(since),
        webhook.off_because,
        history.latest(reader, webhook, _SHOWN),
    )
