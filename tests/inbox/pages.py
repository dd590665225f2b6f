"""What the tests of the pages share: tickets to look at, and how to read a page."""

import re
from html import unescape

NEW = {
    "subject": "It broke",
    "customerEmail": "jane@example.com",
    "customerName": "Jane Smith",
    "body": "It really did.",
}


def create(desk, **fields):
    """The id of a new ticket, by the API."""
    answer = desk.api("POST", "/api/v1/tickets", json=NEW | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["id"]


def say(desk, ticket, body, **fields):
    message = {"body": body, "senderEmail": "jane@example.com", "senderName": "Jane Smith"} | fields
    return desk.api("POST", f"/api/v1/tickets/{ticket}/messages", json=message).json()["data"]["id"]


def change(desk, ticket, **values):
    assert desk.api("PATCH", f"/api/v1/tickets/{ticket}", json=values).status_code == 200


def ticket(desk, ticket_id):
    return desk.api("GET", f"/api/v1/tickets/{ticket_id}").json()["data"]


def messages(desk, ticket_id):
    return desk.api("GET", f"/api/v1/tickets/{ticket_id}/messages").json()["data"]


def listed(page):
    """The ids of the tickets of a list, in its order."""
    return re.findall(r'data-ticket="(tkt_\w+)"', page)


def hidden(page, name):
    """The value of the first hidden field of that name."""
    return unescape(re.search(rf'name="{name}" value="([^"]*)"', page)[1])


def link(page, text):
    """Where the first link of that text leads."""
    return unescape(re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{text}', page)[1])
