"""Times as the API shows them: UTC, whole seconds, such as 2024-01-15T10:30:00Z."""

import re
import time
from datetime import UTC, datetime

PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
# As RFC 3339 has it: with a fraction, and with an offset from UTC.
WITH_OFFSET = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2})$"
)


def timestamp(seconds: float) -> str:
    """The text of a time in epoch seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse(text: str) -> datetime:
    """The aware datetime that `text` shows; ValueError when it shows none."""
    if not re.match(PATTERN, text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


def in_utc(text: str) -> str:
    """A time of the pattern WITH_OFFSET as the API shows it, its fraction cut off; ValueError where there is none."""
    moment = datetime.fromisoformat(text.upper())
    if len(text) == _LENGTH:
        return text.upper().replace(" ", "T")
    try:
        return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except OverflowError as error:  # beyond the year 9999, or before the year 1
        raise ValueError(text) from error


_LENGTH = len("2024-01-15T10:30:00Z")  # of one in UTC, without a fraction
