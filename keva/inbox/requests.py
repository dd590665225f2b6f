"""The requests that a desk for tests has received, with its refusals, newest first."""

from typing import Any

from flask import Blueprint, Response, render_template, request

from keva.errors import Forbidden
from keva.inbox.access import fragment
from keva.inbox.context import inbox, user
from keva.inbox.fields import number
from keva.inbox.journal import Entry, Journal
from keva.log import mask

bp = Blueprint("requests", __name__, url_prefix="/inbox/requests")

_SHOWN = 100
_BODY_SHOWN = 8 * 1024  # bytes


@bp.get("")
def show() -> str:
    """The latest ones."""
    journal = _journal()
    begun = journal.begun
    return render_template("requests.html", entries=list(map(_shown, journal.latest(_SHOWN))), begun=begun)


@bp.get("/news")
@fragment
def news() -> Response:
    """How many came since `after` of them had come: nothing with 204, or the sentence to show."""
    begun, after = _journal().begun, number(request.args.get("after", ""))
    if begun == after:
        return Response(status=204)
    return Response(render_template("_requests_news.html", new=begun - after))


def _journal() -> Journal:
    journal = inbox().journal
    if journal is None or user().workspace is not None:
        raise Forbidden("Requests of all workspaces are for users of all of them to see.")
    return journal


def _shown(entry: Entry) -> dict[str, Any]:
    """An entry as text, without a key in it."""
    query = f"?{entry.query_string}" if entry.query_string else ""
    return {
        "method": entry.method,
        "address": mask(entry.path + query),
        "status": entry.status,
        "error": entry.error,
        "outcome": str(entry.status or ("cut off" if entry.ended else "in progress")),
        "milliseconds": None if entry.duration is None else round(entry.duration * 1000, 1),
        "headers": [(name, mask(value)) for name, value in entry.headers.items()],
        "body": mask(entry.body[:_BODY_SHOWN].decode("utf-8", "replace")),
    }
