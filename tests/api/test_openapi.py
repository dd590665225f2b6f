"""The OpenAPI document: made from what serves the calls, and true of it."""

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import jsonschema
import pytest
from pydantic import TypeAdapter, ValidationError

from keva import models
from keva.api import endpoints, openapi
from keva.inbox.site import Site
from keva.testing import Keva
from keva.testing.desk import DeskOptions
from keva.testing.desk_control import desk_endpoints
from keva.testing.endpoints import every_endpoint
from keva.testing.service import ControlService

KEY = "keva_live_schemathesis"
CLOSED = {"ticketId": "tkt_1", "resolution": "solved", "resolutionType": None}
NASTY = [
    "",
    " ",
    "a",
    "a b",
    "\x1c",
    "\x00",
    "a\x00",
    "\u3000",
    "é",
    "🎉",
    "a\n",
    "\n",
    "\u200b",
    "\u2028",
    "a@b",
    "a@b\n",
]
NASTY += [
    "a@b.c",
    "a@-b",
    "a@" + "b" * 63,
    "a@" + "b" * 64,
    "é@é.é",
    "a@é-",
    "a@" + "é" * 64,
    "a@a\u200ba",
    "用@例",
    "😀@a",
    "a@☺",
    "tkt_a",
    "tkt_",
    "ws_a",
    "tkt_a\n",
    "2024-01-15T10:30:00Z",
]


@pytest.fixture(scope="module")
def keva():
    with Keva(api_key=KEY) as keva:
        yield keva


@pytest.fixture(scope="module")
def document(keva):
    return httpx.get(f"{keva.url}/openapi.json").json()


def schema_of(document, model):
    return {"$ref": f"#/components/schemas/{model.__name__}", "components": document["components"]}


def fits(document, model, value):
    jsonschema.validate(value, schema_of(document, model), jsonschema.Draft202012Validator)


def test_it_is_what_the_command_prints(document, cli):
    assert json.loads(cli("openapi").stdout) == document
    assert document["openapi"].startswith("3.1")


def test_it_names_every_route_and_no_other(document):
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    there = {(call.method, call.path.replace("<", "{").replace(">", "}")) for call in endpoints.ENDPOINTS}
    assert told == there | {("GET", "/healthz")}


def test_it_tells_each_calls_answers_and_refusals_and_its_key(document):
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for call in endpoints.ENDPOINTS:
        operation = document["paths"][call.path.replace("<", "{").replace(">", "}")][call.method.lower()]
        refusals = {"400", "401", "403", "404", "405", "408", "429", "431", "500", "503"}
        assert operation["responses"].keys() >= refusals | {str(call.status)}
        assert ("requestBody" in operation) == (call.body is not None) == ("415" in operation["responses"])


def parts(value):
    yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(part)


def test_its_schemas_are_json_schema_and_its_references_lead_somewhere(document):
    objects = [part for part in parts(document) if isinstance(part, dict)]
    schemas = [*document["components"]["schemas"].values(), *(part["schema"] for part in objects if "schema" in part)]
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)
    references = {part["$ref"] for part in objects if "$ref" in part}
    assert references
    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    operations = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert {link["operationId"] for part in objects for link in part.get("links", {}).values()} <= operations


def test_every_example_fits_its_schema(document):
    examples = [
        (name, example)
        for name, schema in document["components"]["schemas"].items()
        for example in schema.get("examples", ())
    ]
    assert {name for name, _ in examples} >= {"NewTicket", "TicketChange", "NewMessage", "Ticket", "Message"}
    for name, example in examples:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(example, schema, jsonschema.Draft202012Validator)


def test_every_answer_fits_its_schema(keva, document):
    keva.reset()
    with httpx.Client(base_url=keva.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        new = {"subject": "It broke", "customerEmail": "customer@example.com", "body": "It really did."}
        fits(document, models.OneCreatedTicket, client.post("/api/v1/tickets", json=new).json())
        path = "/api/v1/tickets/tkt_000001"
        message = {"body": "Any update?", "senderEmail": "customer@example.com", "senderName": "Jane Smith"}
        fits(document, models.OneMessage, client.post(f"{path}/messages", json=message).json())
        fits(document, models.OneTicket, client.patch(path, json={"assignedTo": "user_1"}).json())
        fits(document, models.OneTicket, client.get(path).json())
        fits(document, models.AllMessages, client.get(f"{path}/messages").json())
        fits(document, models.TicketPage, client.get("/api/v1/tickets").json())
        fits(document, models.ErrorBody, client.post("/api/v1/tickets", json={}).json())


@pytest.mark.parametrize(
    "kind",
    [
        *(models.Subject, models.Name, models.Body, models.BodyHtml, models.Source, models.Assignee, models.Email),
        *(models.TicketId, models.MessageId, models.WorkspaceId, models.Time),
    ],
)
@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_pattern_says_what_the_validation_does(kind, text):
    adapter = TypeAdapter(kind)
    schema = adapter.json_schema()
    try:
        adapter.validate_python(text, strict=True)
        taken = True
    except ValidationError:
        taken = False
    # ECMA's $ is the end of the text alone, Python's also stands before a line end there.
    pattern = re.compile(schema["pattern"][:-1] + r"\Z")
    length = schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
    assert taken == (length and bool(pattern.search(text)))


def fuzz(url, phases, examples, folder):
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{url}/openapi.json"]
    command += [
        "-H",
        f"Authorization: Bearer {KEY}",
        "--phases",
        phases,
        "--checks",
        "all",
    ]
    command += ["--max-examples", str(examples), "--seed", "1", "--no-color"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


def test_a_fuzzer_that_reads_it_finds_no_failure(keva, tmp_path):
    fuzz(keva.url, "examples,coverage,stateful", 5, tmp_path)


@pytest.mark.slow
def test_a_fuzzer_that_reads_it_finds_no_failure_at_length(keva, tmp_path):
    fuzz(keva.url, "examples,coverage,fuzzing,stateful", 500, tmp_path)


def test_the_document_of_a_desk_for_tests_has_its_control_calls_too():
    calls = [*every_endpoint(None), *desk_endpoints(None)]
    document = openapi.document([*endpoints.ENDPOINTS, *calls])
    there = {path for path in document["paths"] if path.startswith("/__keva__/")}
    assert there == {call.path.replace("<", "{").replace(">", "}") for call in calls}
    assert there >= {"/__keva__/reset", "/__keva__/desks/{desk_id}", "/__keva__/snapshots/{snapshot_name}/restore"}
    assert {call.name for call in calls if call.answer is None} == {
        *("reset_desk", "clear_faults", "delete_webhook", "restore_snapshot", "end_desk")
    }


def test_the_answers_of_a_desk_for_tests_fit_their_schemas(tmp_path):
    service = ControlService(tmp_path, DeskOptions(Site("127.0.0.1")), api_key=KEY)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        with httpx.Client(base_url=service.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
            document = client.get("/openapi.json").json()
            webhook = {"url": f"{service.url}/healthz"}
            for call, path, body in [
                ("seed_tickets", "seed", {"tickets": [{"messages": [{"body": "a", "direction": "outbound"}]}]}),
                ("list_all_tickets", "tickets", None),
                ("list_all_messages", "tickets/tkt_000001/messages", None),
                ("make_key", "keys", {}),
                ("make_workspace", "workspaces", {}),
                ("make_webhook", "webhooks", webhook),
                ("answer_ticket", "answer", {"ticketId": "tkt_000001", "status": "solved"}),
                ("list_events", "events", None),
                ("make_up_event", "events", {"type": "ticket.closed", "data": CLOSED}),
                ("list_deliveries", "deliveries", None),
                ("arm_fault", "faults", {"status": 503, "query": {"page": "2"}}),
                ("list_faults", "faults", None),
                ("list_requests", "requests", None),
                ("advance_clock", "clock/advance", {"seconds": 1}),
                ("take_snapshot", "snapshots", {"name": "a"}),
                ("make_desk", "desks", {}),
            ]:
                client.get("/api/v1/tickets")
                method = "POST" if body is not None else "GET"
                answer = client.request(method, f"/__keva__/{path}", json=body)
                assert answer.is_success, answer.text
                [operation] = [
                    methods[method.lower()]
                    for methods in document["paths"].values()
                    if methods.get(method.lower(), {}).get("operationId") == call
                ]
                schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
                whole = schema | {"components": document["components"]}
                jsonschema.validate(answer.json(), whole, jsonschema.Draft202012Validator)
    finally:
        service.stop()
        thread.join(10)


def test_what_is_sent_has_its_defaults_in_words(document):
    """Generators take a field with a `default` for one that must be there."""
    schemas = document["components"]["schemas"]
    assert not [name for name, schema in schemas.items() if '"default":' in json.dumps(schema)]
    assert schemas["NewTicket"]["properties"]["source"]["description"] == 'Source identifier (default: "api")'
    parameters = document["paths"]["/api/v1/tickets"]["get"]["parameters"]
    assert {one["name"]: one["schema"].get("default") for one in parameters}["per_page"] == 20
