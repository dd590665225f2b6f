"""Times as the API shows them: UTC, whole seconds, such as 2024-01-15T10:30:00Z."""

import re
import time
from datetime import datetime

PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"


def timestamp(seconds: float) -> str:
    """The text of a time in epoch seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse(text: str) -> datetime:
    """The aware datetime that `text` shows; ValueError when it shows none."""
    if not re.match(PATTERN, text):
        raise ValueError(text)
    return datetime.fromisoformat(text)
