"""What a caller is told who is nearly right: what is wrong, and the step that is left."""

import gzip
import json
import logging

import httpx
import pytest

from keva.testing import Keva

NEW = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."}
TICKETS = "/api/v1/tickets"
JSON = json.dumps(NEW).encode()


@pytest.fixture(scope="module")
def server():
    with Keva() as keva:
        yield keva


@pytest.fixture(scope="module")
def client(server):
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        yield client


@pytest.fixture
def told(server, client):
    """Sends a body and gives the sentence of its refusal, which stored nothing."""

    def send(content, status=400, **headers):
        server.reset()
        answer = client.post(
            TICKETS, content=content, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )
        assert answer.status_code == status, answer.text
        assert server.tickets() == []
        return answer.json()["error"]

    return send


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_a_compressed_body_is_told_by_its_header(told, coding):
    sentence = told(gzip.compress(JSON), 415, Content_Encoding=coding)
    assert f"Content-Encoding: {coding}" in sentence
    assert "send the JSON as it is" in sentence


def test_a_compressed_body_without_the_header_is_told_by_its_bytes(told):
    assert "compressed with gzip" in told(gzip.compress(JSON))


def test_a_body_said_to_be_as_it_is_is_taken(client):
    assert client.post(TICKETS, content=JSON, headers={"Content-Encoding": "identity"}).status_code == 201


def test_a_byte_order_mark_is_named(told):
    assert "byte order mark" in told(b"\xef\xbb\xbf" + JSON)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_another_encoding_of_unicode_is_named(told, encoding):
    assert f"is {encoding[:6].upper()}: encode the JSON as UTF-8" in told(json.dumps(NEW).encode(encoding))


def test_a_type_sent_twice_is_told_to_send_one(server):
    headers = [("Authorization", f"Bearer {server.key}"), *[("Content-Type", "application/json")] * 2]
    answer = httpx.post(server.url + TICKETS, content=JSON, headers=headers)
    assert (answer.status_code, "Content-Type is given twice" in answer.json()["error"]) == (415, True)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("application/x-www-form-urlencoded", "said to be application/x-www-form-urlencoded, not JSON"),
        ("multipart/form-data; boundary=a", "said to be multipart/form-data, not JSON"),
        ("text/plain", "said to be text/plain, not JSON"),
        ("application/jsonx", "said to be application/jsonx, not JSON"),
        ("", "has no Content-Type"),
    ],
)
def test_another_type_is_named_with_the_one_to_send(told, kind, words):
    sentence = told(JSON, 415, Content_Type=kind)
    assert words in sentence
    assert "Content-Type: application/json" in sentence


def test_another_charset_is_named_where_it_matters(told, client):
    latin = json.dumps(NEW | {"subject": "é"}, ensure_ascii=False).encode("latin-1")
    assert "iso-8859-1: send JSON in UTF-8" in told(latin, 415, Content_Type="application/json; charset=iso-8859-1")
    for charset in ("utf-8", '"UTF-8"', "utf8", "iso-8859-1"):
        headers = {"Content-Type": f"application/json; charset={charset}"}
        assert client.post(TICKETS, content=JSON, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps([NEW]), "is a list, not a JSON object"),
        (json.dumps(json.dumps(NEW)), "JSON within JSON"),
        ('"subject"', "is a text, not a JSON object"),
        ("12", "is a number, not"),
        ("true", "is true or false, not"),
        ("null", "is null, not"),
    ],
)
def test_json_that_is_no_object_is_named_with_an_example(told, content, words):
    sentence = told(content)
    assert words in sentence
    assert '{"subject": "..."}' in sentence


@pytest.mark.parametrize(
    ("query", "name", "meant"),
    [
        ("perPage=5", "perPage", "per_page"),
        ("per-page=5", "per-page", "per_page"),
        ("PAGE=5", "PAGE", "page"),
        ("status[]=open&status[]=closed", "status[]", "status"),
        ("status[0]=open", "status[0]", "status"),
        ("statuses=open", "statuses", "status"),
        ("workspaceId=ws_1", "workspaceId", "workspace_id"),
    ],
)
def test_a_parameter_nearly_named_right_is_told_the_right_name(client, query, name, meant):
    answer = client.get(f"{TICKETS}?{query}").json()
    [detail] = answer["details"]
    assert detail["field"] == name
    assert detail["message"].startswith(f"is not a parameter of this call (did you mean {meant}?), which takes ")


def test_a_parameter_like_none_gets_no_guess(client):
    [detail] = client.get(f"{TICKETS}?nonsense=1&nonsense=2").json()["details"]
    assert detail["message"].startswith("is not a parameter of this call, which takes")


def test_a_field_nearly_named_right_is_told_the_right_name(told):
    sentence = told(json.dumps({"subject": "a", "customer_email": "a@b", "body": "b"}))
    assert "customer_email is not a field of this call (did you mean customerEmail?)" in sentence


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("{key}", "without the word Bearer"),
        ("Bearer", "No API key after the word Bearer"),
        ("Token {key}", "does not begin with Bearer and a blank but with Token"),
        ("Basic {key}", "does not begin with Bearer and a blank but with Basic"),
        ("Bearer:{key}", "does not begin with Bearer and a blank:"),
        ("secret", "does not begin with Bearer and a blank:"),
        ("s3cret to keep", "does not begin with Bearer and a blank:"),
    ],
)
def test_a_key_sent_in_another_way_is_told_the_right_one(server, header, words):
    answer = httpx.get(server.url + TICKETS, headers={"Authorization": header.format(key=server.key)})
    assert answer.status_code == 401
    assert words in answer.json()["error"]
    assert "'Authorization: Bearer keva_live_...'" in answer.json()["error"]
    assert "secret" not in answer.text
    assert server.key not in answer.text


@pytest.mark.parametrize(
    ("headers", "query", "words"),
    [({"X-API-Key": "{key}"}, "", "one in X-API-Key"), ({}, "?api_key={key}", "in the query"), ({}, "", "No API key:")],
)
def test_a_key_sent_elsewhere_is_told_the_right_place(server, headers, query, words):
    headers = {name: value.format(key=server.key) for name, value in headers.items()}
    answer = httpx.get(server.url + TICKETS + query.format(key=server.key), headers=headers)
    assert (answer.status_code, words in answer.json()["error"]) == (401, True)
    assert server.key not in answer.text


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ('Bearer "{key}"', "it stands in quotes"),
        ("Bearer <{key}>", "it stands in quotes or brackets"),
        ("Bearer Bearer {key}", "the word Bearer stands twice"),
        ("Bearer {key}, Bearer {key}", "two Authorization headers"),
    ],
)
def test_why_a_key_is_wrong_stands_in_the_log_beside_the_documented_answer(server, caplog, header, words):
    with caplog.at_level(logging.WARNING, "keva"):
        answer = httpx.get(server.url + TICKETS, headers={"Authorization": header.format(key=server.key)})
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid API key"})
    assert words in caplog.text
