"""Lists that are too long for one piece: exact, of one state, and given up without a trace."""

import io
import json

import pytest

from keva import identity, tickets
from keva.api import pieces
from keva.api.app import create_app
from keva.api.rate_limit import RateLimit
from keva.errors import Unavailable
from keva.http.hooks import Aborted
from keva.identity import SCOPES, Caller, Keyring
from keva.models import NewMessage
from keva.storage.database import Database
from keva.testing.sandbox import KEY, Sandbox
from keva.transfer.exporter import export_tickets
from keva.transfer.importer import TicketImporter
from keva.transfer.records import MAX_TAGS, TicketRecord

EVERYTHING = Caller(None, SCOPES, None)
HEADERS = {"Authorization": f"Bearer {KEY}"}
PAGE = "/api/v1/tickets"
MESSAGES = "/api/v1/tickets/tkt_long/messages"
MORE = NewMessage.model_validate({"body": "One more", "senderEmail": "ann@example.com"})


def record(ticket_id, messages, **more):
    sent = {"id": ticket_id, "subject": "Help", "customerEmail": "ann@example.com", "messages": messages, **more}
    return TicketRecord.model_validate(sent)


def fill(database):
    """A ticket of 40 messages of 20,000 characters, and four tickets of 1,000 tags."""
    messages = [{"body": f'{number} "é☃\u2028' + "x" * 20_000, "bodyHtml": "<b>"} for number in range(40)]
    tags = [f"{number} {'t' * 100}" for number in range(MAX_TAGS)]
    with database.write() as tx:
        importer = TicketImporter(tx)
        importer.store(record("tkt_long", messages))
        for number in range(4):
            importer.store(record(f"tkt_{number}", [{"body": "b"}], tags=tags))


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / "keva.db", identity.mint)
    fill(database)
    yield database
    database.close()


@pytest.fixture
def client(database):
    return create_app(database, Keyring(KEY), RateLimit(100, database.clock)).test_client()


def add_a_message(database):
    with database.write() as tx:
        tickets.add_message(tx, EVERYTHING, "tkt_long", MORE)


def whole(database, sql):
    """What SQLite puts together by itself."""
    with database.read() as reader:
        return reader.one(sql)[0]


def test_the_messages_are_the_same_byte_for_byte_as_made_at_once(client, database):
    message = tickets.message_json("'tkt_long'")
    expected = whole(
        database,
        f"""SELECT '{{"data":[' || group_concat(m) || ']}}' FROM
            (SELECT {message} AS m FROM messages WHERE ticket = 1 ORDER BY seq)""",
    )
    response = client.get(MESSAGES, headers=HEADERS)
    assert response.text == expected
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.headers["X-RateLimit-Limit"] == "100"
    assert "Content-Length" not in response.headers


def test_the_page_is_the_same_byte_for_byte_as_made_at_once(client, database):
    expected = whole(
        database,
        f"""SELECT '{{"data":[' || group_concat(t) || '],"pagination":{{"page":1,"perPage":20,"total":5}}}}' FROM
            (SELECT {tickets.TICKET_JSON} AS t FROM tickets ORDER BY seq DESC)""",
    )
    assert client.get(PAGE, headers=HEADERS).text == expected


def test_a_message_added_while_they_are_read_is_not_among_them(client, database):
    response = client.get(MESSAGES, headers=HEADERS)
    read = iter(response.response)
    begun = next(read)
    add_a_message(database)
    assert len(json.loads(begun + b"".join(read))["data"]) == 40
    assert len(client.get(MESSAGES, headers=HEADERS).json["data"]) == 41


def test_a_ticket_changed_while_the_page_is_read_is_as_it_was(client, database):
    response = client.get(PAGE, headers=HEADERS)
    read = iter(response.response)
    begun = next(read)
    sent = client.patch("/api/v1/tickets/tkt_long", json={"status": "closed"}, headers=HEADERS)
    assert sent.status_code == 200
    page = json.loads(begun + b"".join(read))
    assert (page["data"][-1]["id"], page["data"][-1]["status"]) == ("tkt_long", "open")
    assert page["pagination"]["total"] == 5


def test_only_so_many_long_pages_are_read_at_once_and_short_ones_go_on(client):
    under_way = [client.get(PAGE, headers=HEADERS) for _ in range(pieces.LONG_PAGES)]
    refused = client.get(PAGE, headers=HEADERS)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert client.get(PAGE + "?per_page=1&page=5", headers=HEADERS).status_code == 200
    assert client.get(MESSAGES, headers=HEADERS).status_code == 200
    for response in under_way:
        response.response.close()
    assert len(client.get(PAGE, headers=HEADERS).json["data"]) == 5


def test_a_long_page_that_is_not_read_in_time_is_given_up(client, monkeypatch):
    monkeypatch.setattr(pieces, "LONG_PAGE_SECONDS", -1.0)
    read = iter(client.get(PAGE, headers=HEADERS).response)
    next(read)
    with pytest.raises(Unavailable, match="not read in time"):
        next(read)


def test_a_reader_is_lent_to_a_long_page_alone_and_comes_back(client, database):
    messages = client.get(MESSAGES, headers=HEADERS)
    next(iter(messages.response))
    assert database._readers._lent == set()
    page = client.get(PAGE, headers=HEADERS)
    next(iter(page.response))
    assert len(database._readers._lent) == 1
    page.response.close()
    assert database._readers._lent == set()


def test_a_reset_cuts_what_is_being_read(tmp_path):
    sandbox = Sandbox(tmp_path / "keva.db")
    fill(sandbox.database)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": MESSAGES, "QUERY_STRING": "", "wsgi.input": io.BytesIO()}
    environ |= {"HTTP_AUTHORIZATION": f"Bearer {KEY}", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http"}
    answer = sandbox.middleware(environ | {"SERVER_NAME": "desk", "SERVER_PORT": "80"}, lambda *_: None)
    read = iter(answer)
    assert next(read)
    [request] = sandbox.middleware.requests()
    assert request.status == 200
    sandbox.reset()
    fill(sandbox.database)
    with pytest.raises(Aborted):
        next(read)
    answer.close()
    sandbox.database.close()


def test_an_export_of_a_long_ticket_is_written_in_parts_and_exact(database):
    parts = []

    class Lines(io.RawIOBase):
        def write(self, part):
            parts.append(bytes(part))
            return len(part)

    assert export_tickets(database, Lines(), lambda *_: None) == 5
    expected = whole(
        database,
        f"""
        SELECT group_concat(line, '') FROM (
          SELECT json_patch({tickets.TICKET_JSON}, json_object(
            'messages', (SELECT json_group_array(json(m)) FROM
              (SELECT {tickets.message_json("tickets.id")} AS m FROM messages
               WHERE ticket = tickets.seq ORDER BY messages.seq)),
            'workspaceId', (SELECT id FROM workspaces WHERE seq = tickets.workspace))) || char(10) AS line
          FROM tickets ORDER BY seq)
        """,
    )
    assert b"".join(parts).decode() == expected
    assert max(map(len, parts)) < 256 * 1024
