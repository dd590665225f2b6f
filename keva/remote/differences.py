"""Where another Keva's answers are not as this one would answer."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SHOWN_OF_A_VALUE = 60  # characters
_MOST_KINDS = 200
_REST = "and more differences, which are not listed"


class Differences:
    """Counts them by kind, each with the call where it was seen first."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, str]] = {}

    def check(self, call: str, model: type[BaseModel], answer: Any) -> None:
        """Notes where `answer`, which `call` was given, does not fit `model`."""
        try:
            model.model_validate(answer, strict=True)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self.note(_told(detail), call)

    def note(self, kind: str, call: str) -> None:
        if kind not in self._seen and len(self._seen) >= _MOST_KINDS:
            kind = _REST
        times, first = self._seen.get(kind, (0, call))
        self._seen[kind] = times + 1, first

    def __iter__(self) -> Iterator[str]:
        """A line for each kind."""
        for kind, (times, first) in self._seen.items():
            yield f"{kind} ({times:,} times, first in the answer to {first})"


def _told(detail: ErrorDetails) -> str:
    field = ".".join("*" if isinstance(part, int) else part for part in detail["loc"]) or "the answer"
    match detail["type"]:
        case "missing":
            return f"{field} is missing"
        case "extra_forbidden":
            return f"{field} is a field that this Keva does not answer with"
        case "literal_error":
            return f"{field} is {str(detail['input'])[:_SHOWN_OF_A_VALUE]!r}: {_rule(detail)}"
    return f"{field} is {_kind(detail['input'])}: {_rule(detail)}"  # not its value, which may be personal


def _rule(detail: ErrorDetails) -> str:
    _, _, rule = detail["msg"].partition(" should ")
    return f"this Keva's would {rule or 'be another'}"


def _kind(value: Any) -> str:
    kinds = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")
