"""The Tickets API: six endpoints, each with what it requires, takes and answers."""

from functools import partial

from keva import models, tickets
from keva.api import pieces
from keva.api.registry import Answer, Call, Endpoint, endpoint
from keva.identity import READ, WRITE

ENDPOINTS: list[Endpoint] = []
_endpoint = partial(endpoint, ENDPOINTS)

_TICKETS = "/api/v1/tickets"
_TICKET = "/api/v1/tickets/<ticket_id>"
_MESSAGES = "/api/v1/tickets/<ticket_id>/messages"


@_endpoint("GET", _TICKETS, scope=READ, query=models.ListQuery, answer=models.TicketPage)
def list_tickets(call: Call) -> Answer:
    """List tickets."""
    return Answer(pieces.of_page(call))


@_endpoint("POST", _TICKETS, scope=WRITE, body=models.NewTicket, answer=models.OneCreatedTicket, status=201)
def create_ticket(call: Call) -> Answer:
    """Create a ticket."""
    ticket_id, ticket = call.database.write_in_group(lambda tx: tickets.create(tx, call.caller, call.body))
    return Answer(_data(ticket), 201, f"/api/v1/tickets/{ticket_id}")


@_endpoint("GET", _TICKET, scope=READ, answer=models.OneTicket)
def get_ticket(call: Call) -> Answer:
    """Get a ticket."""
    return Answer(_data(tickets.get(call.reader, call.caller, call.path["ticket_id"])))


@_endpoint("PATCH", _TICKET, scope=WRITE, body=models.TicketChange, answer=models.OneTicket)
def update_ticket(call: Call) -> Answer:
    """Update a ticket."""
    ticket_id = call.path["ticket_id"]
    ticket = call.database.write_in_group(lambda tx: tickets.update(tx, call.caller, ticket_id, call.body))
    return Answer(_data(ticket))


@_endpoint("GET", _MESSAGES, scope=READ, answer=models.AllMessages)
def list_messages(call: Call) -> Answer:
    """List messages."""
    return Answer(pieces.of_messages(call))


@_endpoint("POST", _MESSAGES, scope=WRITE, body=models.NewMessage, answer=models.OneMessage, status=201)
def add_message(call: Call) -> Answer:
    """Add a message."""
    ticket_id = call.path["ticket_id"]
    message = call.database.write_in_group(lambda tx: tickets.add_message(tx, call.caller, ticket_id, call.body))
    return Answer(_data(message), 201)


def _data(json: str) -> str:
    return f'{{"data":{json}}}'
