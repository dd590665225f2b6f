"""The control endpoints: what `keva.testing` offers, for a test in any language."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from keva import api
from keva.api import Answer, Call, View
from keva.errors import Invalid
from keva.faults import Fault
from keva.identity import EVERYTHING, SCOPES
from keva.journal import Request
from keva.lines import Moment
from keva.log import mask
from keva.models import NOT_SENT, Name, Number, Query, Sent, WorkspaceId

if TYPE_CHECKING:
    from keva.rehearsal import Rehearsal

PREFIX = "/__keva__"
_BODY_SHOWN = 64 * 1024  # bytes
_LONGEST_WAIT = 60  # seconds

Method = Literal["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"]
Scope = Literal["tickets:read", "tickets:write"]
Positive = Annotated[int, Field(ge=1)]


class Seeds(Sent):
    """Each ticket may have any field of an import's line."""

    tickets: list[dict[str, Any]]


class NewKey(Sent):
    scopes: Annotated[list[Scope], Field(min_length=1)] = NOT_SENT
    workspace_id: WorkspaceId = NOT_SENT


class NewWorkspace(Sent):
    name: Name = "Another workspace"


class NewFault(Sent):
    """One of `status`, `delay` (in seconds) and `drop`, and which calls it meets."""

    status: Annotated[int, Field(ge=200, le=599)] = NOT_SENT
    body: Any = None
    headers: dict[str, str] = NOT_SENT
    delay: Annotated[float, Field(ge=0, le=3600)] = NOT_SENT
    drop: Literal["reset", "close", "partial"] = NOT_SENT
    method: Method = NOT_SENT
    path: str = NOT_SENT
    times: Positive | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    when: Literal["before", "after"] = "before"


class ClockFace(Sent):
    """The time to stop at; null for the real time."""

    now: Moment | None


class Step(Sent):
    seconds: Annotated[float, Field(ge=-1e9, le=1e9)]


class RequestsQuery(Query):
    method: Method = NOT_SENT
    path: str = NOT_SENT
    count: Number = Field(default=0, ge=0, description="Wait for that many")
    wait: Number = Field(default=5, ge=0, le=_LONGEST_WAIT, description="Seconds to wait at most")


class Anything(BaseModel):
    """What an answer holds is in `data`."""

    model_config = ConfigDict(extra="allow")

    data: Any


def calls(rehearsal: "Rehearsal") -> list[Call]:
    """The endpoints, for `create_app`, of that desk for tests."""
    return [*_desk_calls(rehearsal), *_fault_calls(rehearsal), *_clock_calls(rehearsal)]


def _desk_calls(rehearsal: "Rehearsal") -> list[Call]:
    made: list[Call] = []

    @_call(made, "POST", "/reset", answer=None, status=204)
    def reset_desk(*_: Any) -> Answer:
        """Make the desk as new."""
        rehearsal.stage.reset()
        return Answer("", 204)

    @_call(made, "POST", "/seed", body=Seeds, status=201)
    def seed_tickets(_: Any, __: Any, ___: Any, seeds: Seeds) -> Answer:
        """Make tickets."""
        return Answer(f'{{"data":[{",".join(rehearsal.seed(seeds.tickets))}]}}', 201)

    @_call(made, "POST", "/keys", body=NewKey, status=201)
    def make_key(_: Any, __: Any, ___: Any, new: NewKey) -> Answer:
        """Make an API key."""
        return _data(rehearsal.create_key(new.scopes or SCOPES, new.workspace_id), 201)

    @_call(made, "POST", "/workspaces", body=NewWorkspace, status=201)
    def make_workspace(_: Any, __: Any, ___: Any, new: NewWorkspace) -> Answer:
        """Make a workspace."""
        return _data({"id": rehearsal.create_workspace(new.name)["id"], "name": new.name}, 201)

    @_call(made, "GET", "/requests", query=RequestsQuery)
    def list_requests(_: Any, __: Any, query: RequestsQuery) -> Answer:
        """List the calls received since the reset."""
        if query.count:
            rehearsal.stage.wait_for(query.method, query.path, query.count, query.wait)
        return _data([_request(request) for request in rehearsal.stage.requests(query.method, query.path)])

    return made


def _fault_calls(rehearsal: "Rehearsal") -> list[Call]:
    made: list[Call] = []

    @_call(made, "POST", "/faults", body=NewFault, status=201)
    def arm_fault(_: Any, __: Any, ___: Any, new: NewFault) -> Answer:
        """Arm a fault."""
        which = {"method": new.method, "path": new.path, "times": new.times, "skip": new.skip, "when": new.when}
        kinds = [name for name in ("status", "delay", "drop") if getattr(new, name) is not None]
        if len(kinds) != 1:
            raise Invalid("A fault has one of status, delay and drop.")
        if new.drop:
            return _data(_fault(rehearsal.stage.drop(new.drop, **which)), 201)
        if new.delay is not None:
            return _data(_fault(rehearsal.stage.delay(new.delay, **which)), 201)
        return _data(_fault(rehearsal.stage.fail(new.status, new.body, new.headers, **which)), 201)

    @_call(made, "GET", "/faults")
    def list_faults(*_: Any) -> Answer:
        """List the faults that are armed."""
        return _data([_fault(fault) for fault in rehearsal.stage.faults.all()])

    @_call(made, "DELETE", "/faults", answer=None, status=204)
    def clear_faults(*_: Any) -> Answer:
        """End all faults."""
        rehearsal.stage.faults.clear()
        return Answer("", 204)

    return made


def _clock_calls(rehearsal: "Rehearsal") -> list[Call]:
    made: list[Call] = []

    @_call(made, "PUT", "/clock", body=ClockFace)
    def set_clock(_: Any, __: Any, ___: Any, face: ClockFace) -> Answer:
        """Stop the clock at a time, or let it show the real one."""
        if face.now is None:
            rehearsal.clock.unfreeze()
        else:
            rehearsal.clock.freeze(face.now)
        return _data({"now": rehearsal.clock.now})

    @_call(made, "POST", "/clock/advance", body=Step)
    def advance_clock(_: Any, __: Any, ___: Any, step: Step) -> Answer:
        """Move the clock on."""
        rehearsal.clock.advance(step.seconds)
        return _data({"now": rehearsal.clock.now})

    return made


def _call(made: list[Call], method: str, path: str, answer: Any = Anything, **more: Any) -> Callable[[View], View]:
    return api.call_into(made, method, PREFIX + path, scope=EVERYTHING, answer=answer, **more)


def _data(value: Any, status: int = 200) -> Answer:
    return Answer(json.dumps({"data": value}, ensure_ascii=False, separators=(",", ":")), status)


def _request(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": mask(request.path),
        "query": {name: mask(value) for name, value in request.query.items()},
        "headers": {name: mask(value) for name, value in request.headers.items()},
        "body": request.body[:_BODY_SHOWN].decode("utf-8", "replace"),
        "status": request.status,
        "error": request.error,
        "duration": request.duration,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "fault": str(fault.what),
        "method": fault.calls.method,
        "path": fault.calls.path,
        "times": fault.times,
        "skip": fault.skip,
        "when": fault.when,
        "hits": fault.hits,
    }
