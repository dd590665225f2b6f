"""One ticket: its thread with all that happened, replies, changes, and the HTML of a message in a frame."""

from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request

from keva import conversations, forms, history, people, threads, tickets
from keva.errors import Invalid
from keva.inbox import html
from keva.inbox.access import fragment
from keva.inbox.after import is_page
from keva.inbox.context import database, inbox, user
from keva.inbox.fields import form_id, number, text
from keva.inbox.names import Names
from keva.inbox.responses import see
from keva.inbox.timeline import Entry, timeline
from keva.models import NewMessage, TicketChange
from keva.search.find import of_customer
from keva.search.index import IndexMissing
from keva.storage.transaction import Transaction
from keva.validation import validate

bp = Blueprint("thread", __name__, url_prefix="/inbox/<ticket_id>")

OTHERS = 5  # of the customer's other tickets
SHOWN = 100  # messages, of a longer thread the newest
_ALL = 1_000_000


@dataclass
class Draft:
    """What is in the reply's form when the page is drawn: nothing, or what could not be sent as it is."""

    body: str = ""
    form: str = field(default_factory=forms.new_id)
    wrong: str = ""
    meanwhile: list[Entry] = field(default_factory=list)


@bp.get("")
def show(ticket_id: str) -> Response:
    """The whole page."""
    return _page(ticket_id, Draft())


@bp.post("/reply")
def reply(ticket_id: str) -> Response:
    """Stores an outbound message of the user's and, if asked, a new status; or says what others did meanwhile."""
    draft = Draft(text(request.form.get("body", "")), form_id(request.form.get("form", "")))
    status = request.form.get("then", "")
    change = validate(TicketChange, {"status": status}) if status else None
    try:
        message = validate(NewMessage, _message(draft.body))
    except Invalid as error:
        draft.wrong = f"The reply {error.details[0]['message']}."
        return _page(ticket_id, draft, 400)
    with database().write() as tx:
        typed = {"body": draft.body, "ticket": ticket_id}
        sent = forms.digest(user().id, draft.form, typed)
        changed = forms.digest(user().id, draft.form, typed | {"then": status})
        ticket = _reached(tx, ticket_id)
        done = forms.ticket_of(tx, sent) is not None
        steps = [] if done else _by_others(tx, ticket)
        if not done and not steps:
            tickets.add_message(tx, user().caller, ticket_id, message)
            forms.record(tx, sent, ticket_id)
        if change and not steps and forms.ticket_of(tx, changed) is None:  # another of its buttons may have sent it
            tickets.update(tx, user().caller, ticket_id, change)
            forms.record(tx, changed, ticket_id)
    if steps:
        return _page(ticket_id, draft, 409, steps)
    return see(f"/inbox/{ticket_id}?sent={draft.form}#last")


@bp.post("/change")
def change(ticket_id: str) -> Response:
    """Changes the fields that the user set otherwise than the page showed them; or says what others did meanwhile."""
    changes = _changes()
    wanted = validate(TicketChange, changes) if changes else None
    with database().write() as tx:
        steps = _by_others(tx, _reached(tx, ticket_id))
        if wanted and not steps:
            tickets.update(tx, user().caller, ticket_id, wanted)
    if steps:
        return _page(ticket_id, Draft(), 409, steps)
    back = request.form.get("back", "")
    return see(back if is_page(back) and back.partition("?")[0] == "/inbox" else f"/inbox/{ticket_id}")


@bp.get("/news")
@fragment
def news(ticket_id: str) -> Response:
    """What others did to this ticket since the event `after`, to be shown when asked; 204 where it is nothing."""
    caller = user().caller
    with database().read() as reader:
        ticket, messages = threads.thread(reader, caller, ticket_id, SHOWN)
        steps = history.by_others(reader, caller, ticket["seq"], number(request.args.get("after", "")))
        if not steps:
            return Response(status=204)
        told = {step.message for step in steps}
        entries = timeline([one for one in messages if one["seq"] in told], steps, Names(reader))
    return Response(render_template("_thread_news.html", entries=entries, ticket_id=ticket_id))


@bp.get("/<message_id>.html")
def show_html(ticket_id: str, message_id: str) -> Response:
    """The HTML of one message, for the frame alone; pictures from elsewhere only when asked for."""
    with database().read() as reader:
        found = threads.html_of(reader, user().caller, ticket_id, message_id)
    return html.response(found, pictures=request.args.get("pictures") == "show")


def _message(body: str) -> dict[str, Any]:
    me = user()
    return {"body": body, "senderEmail": me.email, "senderName": me.name, "direction": "outbound"}


def _changes() -> dict[str, Any]:
    """What was set, but for what is as it was when the page was drawn."""
    given: dict[str, Any] = {}
    for name in ("status", "priority", "assignedTo"):
        value = request.form.get(name)
        if value is not None and value != request.form.get(f"was_{name}"):
            given[name] = (value or None) if name == "assignedTo" else value
    return given


def _reached(tx: Transaction, ticket_id: str) -> int:
    """The ticket's seq; NotFound where the user sees no such ticket."""
    ticket, _ = threads.thread(tx, user().caller, ticket_id, 1)
    return int(ticket["seq"])


def _by_others(tx: Transaction, ticket: int) -> list[history.Step]:
    return history.by_others(tx, user().caller, ticket, number(request.form.get("seen", "")))


def _page(ticket_id: str, draft: Draft, status: int = 200, steps: list[history.Step] | None = None) -> Response:
    me = user()
    newest = _ALL if "all" in request.args else SHOWN
    with database().snapshot() as reader:
        ticket, messages = threads.thread(reader, me.caller, ticket_id, newest)
        hidden = ticket["messages"] - len(messages)
        names = Names(reader)
        happened = history.of_ticket(reader, ticket["seq"])
        if hidden:  # what happened between the messages that are not shown is not either
            happened = [step for step in happened if step.at >= messages[0]["created_at"]]
        entries = timeline(messages, happened, names)
        colleagues = people.colleagues(reader, me.caller)
        seen = history.newest(reader)
    new = {step.seq for step in steps or ()}
    draft.meanwhile = [entry for entry in entries if entry.seq in new]
    page = render_template(
        "ticket.html",
        ticket=ticket,
        entries=entries,
        colleagues=colleagues,
        names=names,
        draft=draft,
        seen=seen,
        others=_others(ticket),
        hidden=hidden,
        sent=request.args.get("sent", ""),
        statuses=conversations.STATUSES,
        now=database().now(),
    )
    return make_response(page, status)


def _others(ticket: dict[str, Any]) -> list[dict[str, Any]]:
    """The customer's last other tickets, none where there is no index to find them in."""
    caller = user().caller
    try:
        last = of_customer(inbox().search, caller, ticket["customer_email"], OTHERS + 1)
    except IndexMissing:
        return []
    with database().read() as reader:
        found = conversations.by_message(reader, caller, last)
    return [other for other in found if other["id"] != ticket["id"]][:OTHERS]
