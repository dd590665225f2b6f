"""The list of tickets by their last message, its filters, its search, and the news of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, render_template, request

from keva import conversations, history, workspaces
from keva.identity import Caller
from keva.inbox.access import fragment
from keva.inbox.context import caller_in, database, inbox, user
from keva.inbox.fields import number
from keva.inbox.lists import View
from keva.inbox.names import Names
from keva.search.find import find
from keva.search.index import IndexMissing
from keva.search.query import parse
from keva.storage.transaction import Reader

bp = Blueprint("tickets", __name__, url_prefix="/inbox")

PER_PAGE = 40


@dataclass(frozen=True)
class Page:
    """The tickets of one page, where the next one begins, and what is to be said of the search."""

    tickets: Sequence[dict[str, Any]] = field(default_factory=list)
    before: int | None = None
    notice: str = ""


@bp.get("")
def show_list() -> str:
    """Tickets by their last message."""
    view = View.of(request.args)
    with database().snapshot() as reader:
        caller = caller_in(reader, view.workspace)
        since = history.newest(reader)  # before all else, so that nothing is shown by nobody
        page = _listed(reader, caller, view) if not view.search else None
        counts = conversations.counts(reader, caller, view.filter(user())) if page else None
        names, spaces = Names(reader), _workspaces(reader)
    page = page or _found(caller, view)
    now = database().now()
    return render_template(
        "tickets.html", view=view, page=page, counts=counts, names=names, spaces=spaces, since=since, now=now
    )


@bp.get("/news")
@fragment
def news() -> Response:
    """The number of tickets and messages since the event `after`, to be shown when asked; 204 where there are none."""
    view = View.of(request.args)
    with database().read() as reader:
        found = history.news(reader, caller_in(reader, view.workspace), number(request.args.get("after", "")))
    if not found.tickets and not found.messages:
        return Response(status=204)
    return Response(render_template("_news.html", news=found, address=view.with_()))


def _workspaces(reader: Reader) -> list[dict[str, Any]]:
    """Those that the user may choose from, none where there is no choice."""
    spaces = workspaces.list_all(reader) if user().workspace is None else []
    return spaces if len(spaces) > 1 else []


def _listed(reader: Reader, caller: Caller, view: View) -> Page:
    rows = conversations.list_page(reader, caller, view.filter(user()), view.before, PER_PAGE + 1)
    shown = rows[:PER_PAGE]
    return Page(shown, shown[-1]["last_message"] if len(rows) > PER_PAGE else None)


def _found(caller: Caller, view: View) -> Page:
    """What the search finds, within the filters."""
    try:
        found = find(inbox().search, database(), caller, parse(view.search), view.before, PER_PAGE, view.filter(user()))
    except IndexMissing as error:
        return Page(notice=str(error))
    notice = ""
    if found.indexed < 1:
        notice = f"The search index is being made: {found.indexed:.0%} of all messages can be found by now."
    elif found.cut:
        notice = "This takes too long: there may be more. Add a word, and there will be fewer."
    with database().read() as reader:
        return Page(conversations.by_message(reader, caller, found.messages), found.before, notice)
