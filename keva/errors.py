"""What can go wrong at the desk, and the one JSON shape of a refusal."""

import json


class KevaError(Exception):
    """Something that is not carried out; the sentence says what is wrong and how to mend it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Invalid(KevaError, ValueError):
    """What was sent cannot be taken; `details` names each field and what is wrong with it."""

    def __init__(self, sentence: str, details: list[dict[str, str]] | None = None) -> None:
        super().__init__(sentence)
        self.details = details or []


class NoKey(KevaError):
    """No API key, or one that opens nothing; `of_key` is for the log alone."""

    def __init__(self, sentence: str, of_key: str = "") -> None:
        super().__init__(sentence)
        self.of_key = of_key


class Forbidden(KevaError):
    """The key lacks the scope."""


class NotFound(KevaError):
    """Not there, or not for this caller, which must look the same."""


class TimedOut(KevaError):
    """What was waited for did not come in time."""


class UnsupportedType(KevaError):
    """A body that is not JSON."""


class NotNow(KevaError):
    """It may work later: after `retry_after` seconds, None where waiting does not help."""

    def __init__(self, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class TooMany(NotNow):
    """Over the rate limit."""


class Unavailable(NotNow):
    """The desk cannot do it now."""


class FileUnusable(KevaError):
    """A file or a folder that a command cannot use."""


class AddressUnusable(KevaError):
    """A host and a port that cannot be listened on."""


def body(sentence: str, details: list[dict[str, str]] | None = None) -> bytes:
    """A refusal as JSON: `{"error": sentence}`, with `"details"` where fields are to blame."""
    refusal: dict[str, object] = {"error": sentence}
    if details:
        refusal["details"] = details
    # A caller's own text may hold half a surrogate pair, which UTF-8 cannot encode.
    return json.dumps(refusal, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
