"""One shape for every refusal, the checks in their order, and HEAD as GET."""

import json

import pytest

from .client import ENDPOINTS, LIST_TICKETS, NEW_TICKET, READS, TICKETS, WRITES, Call, Client, Write, refused

PATHS = ["/api/v1/tickets", "/api/v1/tickets/tkt_abc123", "/api/v1/tickets/tkt_abc123/messages"]
MIB = 1024 * 1024


@pytest.mark.parametrize(
    "path",
    [
        *("/api", "/api/v1", "/api/v1/", "/api/v1/ticket", "/api/v2/tickets", "/tickets", "/nowhere", "/favicon.ico"),
        *("/api/v1/tickets/", "/api/v1//tickets", "//api/v1/tickets", "/api/v1/tickets/tkt_abc123/"),
        *("/api/v1/tickets/tkt_abc123/messages/", "/api/v1/tickets/tkt_abc123/messages/msg_001"),
        *("/api/v1/tickets/tkt_abc123/notes", "/API/V1/TICKETS", "/api/v1/tickets.json", "/api/v1/users"),
    ],
)
def test_a_path_that_is_not_there_is_not_found_even_with_a_slash_too_many(client: Client, path: str) -> None:
    refused(client.raw(f"GET {path} HTTP/1.1"), 404)


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "TRACE", "FOO"])
@pytest.mark.parametrize("path", PATHS)
def test_another_method_is_not_allowed_and_told_which_are(client: Client, path: str, method: str) -> None:
    answer = client.raw(f"{method} {path} HTTP/1.1")
    refused(answer, 405)
    own = {call.method for call in ENDPOINTS if call.path == path.replace("tkt_abc123", ":id")}
    assert own <= set(answer.headers["Allow"].split(", ")) <= own | {"HEAD"}


@pytest.mark.parametrize("call", READS, ids=str)
def test_head_answers_as_get_does_without_the_body(client: Client, ticket: dict, call: Call) -> None:
    path = call.path.replace(":id", ticket["id"])
    get, head = client.get(path), client.call("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Length"):
        assert head.headers[name] == get.headers[name]
    assert client.call("HEAD", path, key=None).status_code == 401


@pytest.mark.parametrize(
    "path", [f"{TICKETS}?page=0", f"{TICKETS}/tkt_doesnotexist0000000", "/api/v1/nowhere", f"{TICKETS}/"]
)
def test_head_is_refused_as_get_is_without_the_body(client: Client, path: str) -> None:
    get, head = client.get(path), client.call("HEAD", path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("Content-Type", "Content-Length"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_no_answer_lets_a_browser_in(client: Client, ticket: dict, call: Call) -> None:
    answer = client.make(call, ticket["id"], headers={"Origin": "https://example.com"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_body_over_four_mebibytes_is_refused_and_the_client_reads_why(client: Client) -> None:
    body = json.dumps(NEW_TICKET | {"body": "x" * 5 * MIB}).encode()
    answer = client.raw(
        f"POST {TICKETS} HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(body)}", body=body
    )
    refused(answer, 413)


def test_a_body_of_four_mebibytes_is_taken_and_one_byte_more_stores_nothing(write: Write) -> None:
    body = json.dumps(write.good)
    write.refuses(body.ljust(4 * MIB + 1), 413)
    write.keeps(body.ljust(4 * MIB))


def test_a_body_in_chunks_is_refused_once_it_passes_four_mebibytes(client: Client) -> None:
    chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
    answer = client.raw(
        f"POST {TICKETS} HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked", body=chunk * 5
    )
    refused(answer, 413)


def test_a_body_in_chunks_is_taken(client: Client) -> None:
    body = json.dumps(NEW_TICKET).encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = client.raw(
        f"POST {TICKETS} HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked", body=chunks
    )
    assert answer.status_code == 201


def test_a_head_over_32_kibibytes_is_refused(client: Client) -> None:
    assert client.raw(f"GET {TICKETS} HTTP/1.1", "X-Long: " + "x" * 31 * 1024).status_code == 200
    refused(client.raw(f"GET {TICKETS} HTTP/1.1", "X-Long: " + "x" * 33 * 1024), 431)


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 2"],
        ["Content-Length: two"],
        ["Content-Length: -1"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["no colon here"],
    ],
)
def test_a_length_together_with_chunks_or_one_that_is_none_is_refused(client: Client, headers: list[str]) -> None:
    refused(client.raw(f"POST {TICKETS} HTTP/1.1", *headers, body=b"{}"), 400)


@pytest.mark.parametrize(
    "sent", [b"\x00\x01\x02\r\n\r\n", b"GARBAGE\r\n\r\n", b"GET\r\n\r\n", b"get / HTTP/1.1\r\n\r\n"]
)
def test_what_is_not_http_is_refused(client: Client, sent: bytes) -> None:
    refused(client.wire(sent), 400)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "*/*"])
def test_a_body_that_is_not_said_to_be_json_is_told_which_header_to_send(write: Write, kind: str) -> None:
    write.refuses(write.good, 415, headers={"Content-Type": kind})
    answer = write.send(write.good, headers={"Content-Type": kind})
    assert "application/json" in answer.json()["error"]


def test_a_body_without_a_type_is_refused(write: Write) -> None:
    write.refuses(write.good, 415, headers={})


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"]
)
def test_json_may_be_said_with_its_charset_and_in_any_case(write: Write, kind: str) -> None:
    write.keeps(write.good, headers={"Content-Type": kind})


def test_an_empty_body_is_refused(write: Write) -> None:
    write.refuses(b"")
    write.refuses(b"", headers={})


@pytest.mark.parametrize(
    "query", ["?page=x", "?nope=1", "?workspace_id=", "?status=open&status=open", "?status", "?=1"]
)
@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_a_parameter_unknown_repeated_or_empty_is_refused_on_every_call(
    client: Client, ticket: dict, call: Call, query: str
) -> None:
    refused(client.make(call, ticket["id"], query), 400)


class TestTheOrderOfTheChecks:
    """HTTP and sizes, route, method, key, limit, scope, workspace, query or body, the ticket."""

    def test_sizes_before_the_route(self, client: Client) -> None:
        refused(client.raw("POST /nowhere HTTP/1.1", f"Content-Length: {5 * MIB}", body=b"x", key=None), 413)

    @pytest.mark.parametrize("line", ["Content-Length: x", "Content-Length: 2\r\nTransfer-Encoding: chunked"])
    def test_http_before_the_route(self, client: Client, line: str) -> None:
        refused(client.raw("POST /nowhere HTTP/1.1", line, body=b"{}", key=None), 400)

    def test_the_route_before_the_key(self, client: Client) -> None:
        refused(client.get("/api/v1/nowhere", key=None), 404)

    def test_the_method_before_the_key(self, client: Client) -> None:
        refused(client.call("DELETE", TICKETS, key=None), 405)

    @pytest.mark.parametrize("key", [None, "keva_live_" + "0" * 64], ids=["no key", "a wrong key"])
    @pytest.mark.parametrize("call", WRITES, ids=str)
    def test_the_key_before_workspace_query_and_body(
        self, client: Client, ticket: dict, call: Call, key: str | None
    ) -> None:
        refused(client.make(call, ticket["id"], "?workspace_id=ws_nope&nope=1", key=key, content=b"{"), 401)

    @pytest.mark.parametrize("call", WRITES, ids=str)
    def test_the_scope_before_workspace_query_and_body(self, client: Client, ticket: dict, call: Call) -> None:
        key = client.needs("KEVA_READ_ONLY_API_KEY")
        query = "?workspace_id=ws_nope&nope=1"
        refused(client.make(call, ticket["id"], query, key=key, content=b"{"), 403)

    @pytest.mark.parametrize("call", WRITES, ids=str)
    def test_the_workspace_before_query_and_body(self, client: Client, ticket: dict, call: Call) -> None:
        refused(client.make(call, ticket["id"], "?workspace_id=ws_nope&nope=1", content=b"{"), 404)

    def test_the_query_before_the_ticket(self, client: Client) -> None:
        refused(client.get(f"{TICKETS}/tkt_nope?nope=1"), 400)

    @pytest.mark.parametrize("call", [call for call in WRITES if ":id" in call.path], ids=str)
    def test_the_body_before_the_ticket(self, client: Client, call: Call) -> None:
        refused(client.make(call, "tkt_nope", json={}), 400)


def test_a_refusal_has_no_word_of_what_is_inside(client: Client) -> None:
    for page in ("0", "9" * 16, "1e3", "1.0", "0x1", "-1", "+1", " 1", "1_0", "٣", "NaN", "null"):
        assert "page" in refused(client.get(f"{LIST_TICKETS.path}?page={page}"), 400)
