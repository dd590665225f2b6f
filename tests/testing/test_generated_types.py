"""The types that openapi-typescript makes from the document: the calls that the README makes fit them."""

import json
import shutil
import subprocess

import pytest

from keva.api import openapi
from keva.api.endpoints import ENDPOINTS
from keva.testing.desk_control import desk_endpoints
from keva.testing.endpoints import every_endpoint

PACKAGES = ["openapi-typescript@7", "typescript@5"]
PROGRAM = """
import type { components, operations } from "./keva";

type Schemas = components["schemas"];

export const ticket: Schemas["NewTicket"] = {
  subject: "Order not delivered", customerEmail: "customer@example.com", body: "Where is it?",
};
export const message: Schemas["NewMessage"] = { body: "Any update on this?", senderEmail: "customer@example.com" };
export const change: Schemas["TicketChange"] = { status: "pending", priority: "high" };
export const seeds: Schemas["Seeds"] = { tickets: [{ subject: "It broke" }, { messages: [{ body: "It did." }] }] };
export const fault: Schemas["FaultSpec"] = { status: 503, query: { page: "2" } };
export const query: operations["list_tickets"]["parameters"]["query"] = { status: "open" };
export const origin = (made: Schemas["OneDesk"]): string => made.data.url;
export const statuses = (made: Schemas["ReceivedCalls"]): (number | null)[] => made.data.map((call) => call.status);
// @ts-expect-error
export const unknown: Schemas["TicketChange"] = { status: "new" };
// @ts-expect-error
export const missing: Schemas["NewTicket"] = { subject: "It broke", body: "It really did." };
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("npm"), reason="npm is missing")
def test_what_the_readme_sends_fits_them_and_what_is_wrong_does_not(tmp_path):
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefer-offline", *PACKAGES]
    if subprocess.run(install, cwd=tmp_path, capture_output=True, timeout=100).returncode:
        pytest.skip("npm cannot install here")
    document = openapi.document([*ENDPOINTS, *every_endpoint(None), *desk_endpoints(None)])
    (tmp_path / "keva.json").write_text(json.dumps(document))
    (tmp_path / "program.ts").write_text(PROGRAM)
    for command in (
        ["openapi-typescript", "keva.json", "-o", "keva.d.ts"],
        ["tsc", "--noEmit", "--strict", "program.ts"],
    ):
        done = subprocess.run(["npx", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
