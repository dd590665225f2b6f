"""The document's `webhooks`: the four events, as they are sent."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from keva.api import openapi
from keva.api.endpoints import ENDPOINTS
from keva.envelopes import ENVELOPES

GOLDEN = Path(__file__).parents[1] / "webhooks" / "events.golden"
DOCUMENT = openapi.document(ENDPOINTS)


def fits(value, schema):
    jsonschema.validate(value, schema | {"components": DOCUMENT["components"]}, jsonschema.Draft202012Validator)


def body_of(kind):
    return DOCUMENT["webhooks"][kind]["post"]["requestBody"]["content"]["application/json"]["schema"]


def test_the_four_events_are_there_with_what_signs_them():
    assert list(DOCUMENT["webhooks"]) == ["ticket.created", "ticket.updated", "ticket.closed", "message.created"]
    for webhook in DOCUMENT["webhooks"].values():
        assert [header["name"] for header in webhook["post"]["parameters"]] == [
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        ]


@pytest.mark.parametrize("line", GOLDEN.read_bytes().splitlines(), ids=lambda line: json.loads(line)["id"])
def test_what_is_sent_fits_its_schema_and_no_other_events(line):
    event = json.loads(line)
    fits(event, body_of(event["type"]))
    for kind in ENVELOPES.keys() - {event["type"]}:
        with pytest.raises(jsonschema.ValidationError):
            fits(event, body_of(kind))


def test_every_field_is_required_and_no_other_is_there():
    schemas = DOCUMENT["components"]["schemas"]
    for kind in ENVELOPES.values():
        for name in (kind.__name__, kind.model_fields["data"].annotation.__name__):
            assert schemas[name]["additionalProperties"] is False
            assert set(schemas[name]["required"]) == set(schemas[name]["properties"])
    assert "required" not in schemas["Changes"]
    assert schemas["Changes"]["minProperties"] == 1


def test_a_generated_client_reads_what_is_sent(tmp_path):
    (tmp_path / "openapi.json").write_text(json.dumps(DOCUMENT))
    command = [Path(sys.executable).with_name("openapi-python-client"), "generate", "--meta", "none"]
    command += ["--path", tmp_path / "openapi.json", "--output-path", tmp_path / "generated"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    code = (
        "import json, sys; from generated import models\n"
        "for line in sys.stdin.buffer.read().splitlines():\n"
        "    event = json.loads(line)\n"
        "    name = ''.join(part.capitalize() for part in event['type'].split('.'))\n"
        "    read = getattr(models, name).from_dict(event)\n"
        "    assert read.to_dict() == event, (read, event)\n"
        "    assert read.id == event['id'] and read.data.ticket_id\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, input=GOLDEN.read_bytes(), capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
