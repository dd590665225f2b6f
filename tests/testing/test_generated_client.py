"""A typed client that a generator makes from the document, driving the desk."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import httpx
import pytest


@pytest.fixture(scope="module")
def generated(server, tmp_path_factory):
    """The package that openapi-python-client makes of the served document."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_bytes(httpx.get(f"{server.url}/openapi.json").content)
    scripts = Path(sys.executable).parent
    command = [scripts / "openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none"]
    command += ["--output-path", "desk_client", "--fail-on-warning"]
    environ = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield lambda name: import_module(f"desk_client.{name}")
    sys.path.remove(str(folder))


def test_it_makes_every_call_with_types(keva, generated):
    models = generated("models")

    def call(name, *path, **more):
        return generated(f"api.default.{name}").sync(*path, client=client, **more)

    with generated("client").AuthenticatedClient(base_url=keva.url, token=keva.key) as client:
        new = models.NewTicket(subject="It broke", customer_email="customer@example.com", body="It really did.")
        made = call("create_ticket", body=new).data.id
        message = models.NewMessage(body="Any update?", sender_email="customer@example.com")
        assert call("add_message", made, body=message).data.body == "Any update?"
        assert (
            call("update_ticket", made, body=models.TicketChange(status=models.TicketChangeStatus.SOLVED)).data.status
            == "solved"
        )
        assert call("get_ticket", made).data.subject == "It broke"
        assert [message.body for message in call("list_messages", made).data] == ["It really did.", "Any update?"]
        assert call("list_tickets", status=models.ListTicketsStatus.SOLVED, per_page=1).pagination.total == 1
        refused = call("create_ticket", body=models.NewTicket(subject="", customer_email="a", body="b"))
        assert {detail.field for detail in refused.details} == {"subject", "customerEmail"}
