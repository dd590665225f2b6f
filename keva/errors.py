"""What can go wrong at the desk, in its own words, and the one shape in which it is told."""

import json


class Refused(Exception):
    """A call that is not carried out; its text says what is wrong and how to mend it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Invalid(Refused, ValueError):
    """What was sent cannot be taken; `details` names each field and what is wrong with it."""

    def __init__(self, sentence: str, details: list[dict[str, str]] | None = None) -> None:
        super().__init__(sentence)
        self.details = details or []


class NoKey(Refused):
    """No API key, or one that opens nothing; `of_key` is for the log alone."""

    def __init__(self, sentence: str, of_key: str = "") -> None:
        super().__init__(sentence)
        self.of_key = of_key


class Forbidden(Refused):
    """The key lacks the scope."""


class NotFound(Refused):
    """Not there, or not for this caller, which must look the same."""


class UnsupportedType(Refused):
    """A body that is not JSON."""


class NotNow(Refused):
    """It may work later: after `retry_after` seconds, None where waiting does not help."""

    def __init__(self, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class TooMany(NotNow):
    """Over the rate limit."""


class Unavailable(NotNow):
    """The desk cannot do it now."""


class CannotStart(Refused):
    """The file, the folder or the port is not fit to serve from."""


def body(sentence: str, details: list[dict[str, str]] | None = None) -> bytes:
    """A refusal as JSON: `{"error": sentence}`, with `"details"` where fields are to blame."""
    told: dict[str, object] = {"error": sentence}
    if details:
        told["details"] = details
    # A caller's own text may hold half a surrogate pair, which UTF-8 cannot say.
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
