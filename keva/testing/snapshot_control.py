"""The control endpoints for named states of a desk, to which it can go back."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from keva.api.registry import Answer, Call, Endpoint
from keva.errors import Invalid, NotFound
from keva.models import RequestModel, ResponseModel
from keva.patterns import PLAIN_NAME
from keva.testing.control import control, data
from keva.testing.snapshots import Snapshot

if TYPE_CHECKING:
    from keva.testing.sandbox import Sandbox

MOST = 100
SnapshotName = Annotated[str, Field(pattern=PLAIN_NAME)]


class NewSnapshot(RequestModel):
    name: SnapshotName


class SnapshotTaken(ResponseModel):
    name: SnapshotName


class OneSnapshot(ResponseModel):
    data: SnapshotTaken


def snapshot_endpoints(sandbox: "Sandbox") -> list[Endpoint]:
    """The endpoints under /__keva__/snapshots."""
    registry: list[Endpoint] = []
    taken: dict[str, Snapshot] = {}

    @control(registry, "POST", "snapshots", body=NewSnapshot, answer=OneSnapshot, status=201)
    def take_snapshot(call: Call) -> Answer:
        """Keep the state that the desk is in under a name, in place of an older one of that name."""
        name = call.body.name
        if len(taken) >= MOST and name not in taken:
            raise Invalid(f"There are {MOST} snapshots already: give the name of one that is no longer needed.")
        taken[name] = sandbox.snapshot()
        return data({"name": name}, 201)

    @control(registry, "POST", "snapshots/<snapshot_name>/restore", answer=None, status=204)
    def restore_snapshot(call: Call) -> Answer:
        """Put the desk into a state that was kept."""
        name = call.path["snapshot_name"]
        if name not in taken:
            there = ", ".join(list(taken)[:20]) or "none"
            raise NotFound(f"There is no snapshot of that name on this desk: there is {there}.")
        sandbox.restore(taken[name])
        return Answer("", 204)

    return registry
