"""The control endpoints: what `keva.testing` offers, for a test in any language."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from flask import request
from pydantic import BaseModel, Field

from keva.api.registry import Answer, Call, Endpoint, View, endpoint
from keva.errors import TimedOut
from keva.http import hooks
from keva.identity import EVERYTHING, SCOPES
from keva.log import mask
from keva.models import OMITTED, Name, Number, Query, RequestModel, Status, WorkspaceId
from keva.testing import answers
from keva.testing.faults import AnyCase, Fault, FaultSpec, Method
from keva.testing.journal import Request
from keva.testing.middleware import CONTROL_PREFIX
from keva.testing.seeds import Seeds
from keva.testing.types import Scope
from keva.transfer.records import Moment

if TYPE_CHECKING:
    from keva.testing.sandbox import Sandbox

_BODY_SHOWN = 64 * 1024  # bytes
_LINES_SHOWN = 20  # of the journal, in a refusal
LONGEST_WAIT = 60  # seconds


class NewKey(RequestModel):
    scopes: Annotated[list[Scope], Field(min_length=1)] = OMITTED
    workspace_id: WorkspaceId = OMITTED


class NewWorkspace(RequestModel):
    name: Name = "Another workspace"


class ClockSetting(RequestModel):
    """The time to stop at; null for the real time."""

    now: Moment | None


class ClockAdvance(RequestModel):
    seconds: Annotated[float, Field(ge=-1e9, le=1e9)]


class RequestsQuery(Query):
    method: Annotated[Method, AnyCase] = OMITTED
    path: str = OMITTED
    count: Number = Field(default=0, ge=0, description="Wait for that many")
    wait: Number = Field(default=5, ge=0, le=LONGEST_WAIT, description="Seconds to wait at most")


class TicketsQuery(Query):
    status: Status = OMITTED


def control_endpoints(sandbox: "Sandbox") -> list[Endpoint]:
    """The endpoints under /__keva__/ that control this desk for tests, for `create_app`."""
    return [*_desk_endpoints(sandbox), *_fault_endpoints(sandbox), *_clock_endpoints(sandbox)]


def _desk_endpoints(sandbox: "Sandbox") -> list[Endpoint]:
    registry: list[Endpoint] = []

    @control(registry, "POST", "reset", answer=None, status=204)
    def reset_desk(call: Call) -> Answer:
        """Make the desk as new."""
        sandbox.reset()
        return Answer("", 204)

    @control(registry, "POST", "seed", body=Seeds, answer=answers.Tickets, status=201)
    def seed_tickets(call: Call) -> Answer:
        """Make tickets."""
        return Answer(f'{{"data":[{",".join(sandbox.seed(call.body.tickets))}]}}', 201)

    @control(registry, "POST", "keys", body=NewKey, answer=answers.OneKey, status=201)
    def make_key(call: Call) -> Answer:
        """Make an API key."""
        return data(sandbox.create_key(call.body.scopes or SCOPES, call.body.workspace_id), 201)

    @control(registry, "POST", "workspaces", body=NewWorkspace, answer=answers.OneWorkspace, status=201)
    def make_workspace(call: Call) -> Answer:
        """Make a workspace."""
        return data({"id": sandbox.create_workspace(call.body.name)["id"], "name": call.body.name}, 201)

    @control(registry, "GET", "tickets", query=TicketsQuery, answer=answers.Tickets)
    def list_all_tickets(call: Call) -> Answer:
        """List all tickets that the desk holds, newest first, in a call that is not recorded."""
        return Answer(f'{{"data":{sandbox.tickets(call.query.status, call.query.workspace_id)}}}')

    @control(registry, "GET", "tickets/<ticket_id>/messages", answer=answers.Messages)
    def list_all_messages(call: Call) -> Answer:
        """List all messages of a ticket, oldest first, in a call that is not recorded."""
        return Answer(f'{{"data":{sandbox.messages(call.path["ticket_id"])}}}')

    @control(registry, "GET", "requests", query=RequestsQuery, answer=answers.ReceivedCalls)
    def list_requests(call: Call) -> Answer:
        """List the calls received since the reset."""
        query, middleware = call.query, sandbox.middleware
        if query.count:
            with hooks.waiting(request.environ):
                found = middleware.wait_for(query.method, query.path, query.count, query.wait)
            if len(found) < query.count:
                wanted = f"{query.method or 'any method'} {query.path or 'any path'}"
                raise too_late(sandbox, query, wanted)
        return data([_request(received) for received in middleware.requests(query.method, query.path)])

    return registry


def _fault_endpoints(sandbox: "Sandbox") -> list[Endpoint]:
    registry: list[Endpoint] = []

    @control(registry, "POST", "faults", body=FaultSpec, answer=answers.OneFault, status=201)
    def arm_fault(call: Call) -> Answer:
        """Arm a fault."""
        return data(_fault(sandbox.middleware.arm(call.body)), 201)

    @control(registry, "GET", "faults", answer=answers.ArmedFaults)
    def list_faults(call: Call) -> Answer:
        """List the faults that are armed."""
        return data([_fault(fault) for fault in sandbox.middleware.faults.all()])

    @control(registry, "DELETE", "faults", answer=None, status=204)
    def clear_faults(call: Call) -> Answer:
        """End all faults."""
        sandbox.middleware.faults.clear()
        return Answer("", 204)

    return registry


def _clock_endpoints(sandbox: "Sandbox") -> list[Endpoint]:
    registry: list[Endpoint] = []

    @control(registry, "PUT", "clock", body=ClockSetting, answer=answers.DeskTime)
    def set_clock(call: Call) -> Answer:
        """Stop the clock at a time, or let it show the real one."""
        if call.body.now is None:
            sandbox.clock.unfreeze()
        else:
            sandbox.clock.freeze(call.body.now)
        return data({"now": sandbox.clock.now})

    @control(registry, "POST", "clock/advance", body=ClockAdvance, answer=answers.DeskTime)
    def advance_clock(call: Call) -> Answer:
        """Move the clock on."""
        sandbox.clock.advance(call.body.seconds)
        return data({"now": sandbox.clock.now})

    return registry


def control(
    registry: list[Endpoint], method: str, path: str, answer: type[BaseModel] | None, **more: Any
) -> Callable[[View], View]:
    return endpoint(registry, method, CONTROL_PREFIX + path, scope=EVERYTHING, answer=answer, **more)


def data(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps({"data": value}, ensure_ascii=False, separators=(",", ":")), status)


def too_late(sandbox: "Sandbox", query: Any, wanted: str) -> TimedOut:
    """What to raise when a wait ran out: it tells what came instead, as the fixture does."""
    there = ", ".join(sandbox.journal()[-_LINES_SHOWN:]) or "no call at all"
    return TimedOut(f"{query.count} x {wanted} did not come within {query.wait} s, but {there}.")


def _request(received: Request) -> dict[str, Any]:
    return {
        "method": received.method,
        "path": mask(received.path),
        "query": {name: mask(value) for name, value in received.query.items()},
        "headers": {name: mask(value) for name, value in received.headers.items()},
        "body": received.body[:_BODY_SHOWN].decode("utf-8", "replace"),
        "status": received.status,
        "error": received.error,
        "duration": received.duration,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    spec = fault.spec
    return {
        "fault": spec.effect,
        "method": spec.method,
        "path": spec.path,
        "query": spec.query,
        "requestHeaders": spec.request_headers and {name: mask(value) for name, value in spec.request_headers.items()},
        "times": spec.times,
        "skip": spec.skip - fault.skipped,
        "when": spec.when,
        "hits": fault.hits,
    }
