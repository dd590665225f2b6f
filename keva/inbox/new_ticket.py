"""A new ticket, for somebody who called."""

from flask import Blueprint, Response, make_response, render_template, request

from keva import forms, tickets, workspaces
from keva.errors import Invalid
from keva.inbox.context import caller_in, database, user
from keva.inbox.fields import form_id, text
from keva.inbox.responses import see
from keva.models import NewTicket
from keva.validation import validate

bp = Blueprint("new_ticket", __name__, url_prefix="/inbox/new")

SOURCE = "inbox"
_FIELDS = ("subject", "customerEmail", "customerName", "body")


@bp.get("")
def ask() -> Response:
    """The empty form."""
    return _page({"form": forms.new_id()})


@bp.post("")
def create() -> Response:
    """Makes the ticket, once for each form; what does not fit is told, with all that was typed."""
    typed = {name: text(request.form.get(name, "")) for name in (*_FIELDS, "workspace")}
    form = form_id(request.form.get("form", ""))
    try:
        given = {name: typed[name] for name in _FIELDS if typed[name] or name != "customerName"}
        new = validate(NewTicket, given | {"source": SOURCE})
    except Invalid as error:
        return _page({**typed, "form": form}, 400, {detail["field"]: detail["message"] for detail in error.details})
    with database().write() as tx:
        caller = caller_in(tx, typed["workspace"])
        sent = forms.digest(user().id, form, typed)
        ticket_id = forms.ticket_of(tx, sent)
        if ticket_id is None:
            ticket_id, _ = tickets.create(tx, caller, new)
            forms.record(tx, sent, ticket_id)
    return see(f"/inbox/{ticket_id}?sent={form}")


def _page(typed: dict[str, str], status: int = 200, wrong: dict[str, str] | None = None) -> Response:
    spaces = []
    if user().workspace is None:
        with database().read() as reader:
            spaces = workspaces.list_all(reader)
    page = render_template("new_ticket.html", typed=typed, wrong=wrong or {}, spaces=spaces)
    return make_response(page, status)
