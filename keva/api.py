"""The Tickets API: six calls, each with what it requires, takes and answers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from keva import models, tickets
from keva.db import Desk
from keva.identity import READ, WRITE, Caller


@dataclass(frozen=True)
class Answer:
    """`json` is the whole body; `location` the path of what was created."""

    json: str
    status: int = 200
    location: str | None = None


@dataclass(frozen=True)
class Call:
    """`view` gets the desk, the caller, the query, the body if there is one, the id in the path if there is one."""

    method: str
    path: str
    view: Callable[..., Answer]
    summary: str
    scope: str
    answer: type[BaseModel] | None
    status: int
    query: type[BaseModel]
    body: type[BaseModel] | None


CALLS: list[Call] = []
View = Callable[..., Answer]


def call_into(
    calls: list[Call],
    method: str,
    path: str,
    *,
    scope: str,
    answer: type[BaseModel] | None,
    status: int = 200,
    query: type[BaseModel] = models.Query,
    body: type[BaseModel] | None = None,
) -> Callable[[View], View]:
    """Makes a view one of `calls`, from which the routes and the OpenAPI document are made."""

    def add(view: View) -> View:
        summary = (view.__doc__ or "").rstrip(".")
        calls.append(Call(method, path, view, summary, scope, answer, status, query, body))
        return view

    return add


call = partial(call_into, CALLS)


@call("GET", "/api/v1/tickets", scope=READ, query=models.ListQuery, answer=models.TicketPage)
def list_tickets(desk: Desk, caller: Caller, query: models.ListQuery) -> Answer:
    """List tickets."""
    page, total = tickets.list_page(desk.read(), caller, query)
    pagination = f'{{"page":{query.page},"perPage":{query.per_page},"total":{total}}}'
    return Answer(f'{{"data":[{page}],"pagination":{pagination}}}')


@call("POST", "/api/v1/tickets", scope=WRITE, body=models.NewTicket, answer=models.OneCreatedTicket, status=201)
def create_ticket(desk: Desk, caller: Caller, _: models.Query, new: models.NewTicket) -> Answer:
    """Create a ticket."""
    with desk.write() as tx:
        ticket_id, ticket = tickets.create(tx, caller, new)
    return Answer(_data(ticket), 201, f"/api/v1/tickets/{ticket_id}")


@call("GET", "/api/v1/tickets/<ticket_id>", scope=READ, answer=models.OneTicket)
def get_ticket(desk: Desk, caller: Caller, _: models.Query, ticket_id: str) -> Answer:
    """Get a ticket."""
    return Answer(_data(tickets.get(desk.read(), caller, ticket_id)))


@call("PATCH", "/api/v1/tickets/<ticket_id>", scope=WRITE, body=models.TicketChange, answer=models.OneTicket)
def update_ticket(desk: Desk, caller: Caller, _: models.Query, change: models.TicketChange, ticket_id: str) -> Answer:
    """Update a ticket."""
    with desk.write() as tx:
        ticket = tickets.update(tx, caller, ticket_id, change)
    return Answer(_data(ticket))


@call("GET", "/api/v1/tickets/<ticket_id>/messages", scope=READ, answer=models.AllMessages)
def list_messages(desk: Desk, caller: Caller, _: models.Query, ticket_id: str) -> Answer:
    """List messages."""
    return Answer(f'{{"data":[{tickets.list_messages(desk.read(), caller, ticket_id)}]}}')


@call(
    "POST",
    "/api/v1/tickets/<ticket_id>/messages",
    scope=WRITE,
    body=models.NewMessage,
    answer=models.OneMessage,
    status=201,
)
def add_message(desk: Desk, caller: Caller, _: models.Query, new: models.NewMessage, ticket_id: str) -> Answer:
    """Add a message."""
    with desk.write() as tx:
        message = tickets.add_message(tx, caller, ticket_id, new)
    return Answer(_data(message), 201)


def _data(json: str) -> str:
    return f'{{"data":{json}}}'
