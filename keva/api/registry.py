"""What an endpoint is: its route, what it requires and takes, and the view that answers a call."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from keva import models
from keva.identity import Caller
from keva.storage.database import Database
from keva.storage.transaction import Reader


@dataclass(frozen=True)
class Call:
    """One call of an endpoint: `query` and `body` are instances of its models, `path` has the ids of its route.

    `reader` is lent for the length of the call.
    """

    database: Database
    reader: Reader
    caller: Caller
    query: Any
    body: Any
    path: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """`json` is the whole body, or makes it piece by piece; `location` is the path of what was created."""

    json: str | Iterator[str]
    status: int = 200
    location: str | None = None


View = Callable[[Call], Answer]


@dataclass(frozen=True)
class Endpoint:
    """A method and a path, from which the route and the OpenAPI document are made; `answer` None means no body."""

    method: str
    path: str
    view: View
    scope: str
    answer: type[BaseModel] | None
    status: int
    query: type[BaseModel]
    body: type[BaseModel] | None

    @property
    def name(self) -> str:
        return self.view.__name__

    @property
    def summary(self) -> str:
        return (self.view.__doc__ or "").rstrip(".")


def endpoint(
    registry: list[Endpoint],
    method: str,
    path: str,
    *,
    scope: str,
    answer: type[BaseModel] | None,
    status: int = 200,
    query: type[BaseModel] = models.Query,
    body: type[BaseModel] | None = None,
) -> Callable[[View], View]:
    """The decorator that adds a view to `registry`."""

    def add(view: View) -> View:
        registry.append(Endpoint(method, path, view, scope, answer, status, query, body))
        return view

    return add
