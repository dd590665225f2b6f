"""The control endpoints for further desks, which the first desk of a server has."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import request

from keva.api.registry import Answer, Call, Endpoint
from keva.inbox.front import way_in
from keva.models import ResponseModel
from keva.testing.control import control, data

if TYPE_CHECKING:
    from keva.testing.desks import Desks

_ALL_ADDRESSES = ("0.0.0.0", "[::]")


class NewDesk(ResponseModel):
    id: str
    url: str
    key: str
    inbox: str | None


class OneDesk(ResponseModel):
    data: NewDesk


def desk_endpoints(desks: "Desks") -> list[Endpoint]:
    """The endpoints under /__keva__/desks."""
    registry: list[Endpoint] = []

    @control(registry, "POST", "desks", answer=OneDesk, status=201)
    def make_desk(call: Call) -> Answer:
        """Make a desk beside this one: empty, and with a key of its own."""
        made = desks.make()
        url = _as_reached(made.url)
        inbox = url + way_in(made.desk.database) if desks.have_pages else None
        return data({"id": made.id, "url": url, "key": made.desk.sandbox.key, "inbox": inbox}, 201)

    @control(registry, "DELETE", "desks/<desk_id>", answer=None, status=204)
    def end_desk(call: Call) -> Answer:
        """End a desk that was made beside this one."""
        desks.end(call.path["desk_id"])
        return Answer("", 204)

    return registry


def _as_reached(url: str) -> str:
    """The origin under the name by which the caller found this desk, where it listens on all addresses."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    called = urlsplit(f"//{request.host}").hostname or host
    if host not in _ALL_ADDRESSES:
        return url
    return f"http://[{called}]:{port}" if ":" in called else f"http://{called}:{port}"
