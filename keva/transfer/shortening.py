"""Shortens the texts of a line that are longer than the desk keeps, with a mark at their end."""

from typing import Any, get_args

from annotated_types import MaxLen
from pydantic.fields import FieldInfo

from keva.models import Body, BodyHtml, Name, Subject

MARK = " [shortened]"
HTML_MARK = "<p>[shortened]</p>"
_LONGEST_ENTITY = 10  # characters of a name that is cut, such as &eacute


def _longest(kind: Any) -> int:
    """The most characters that a text of this type may have."""
    [field] = [part for part in get_args(kind) if isinstance(part, FieldInfo)]
    return next(int(limit.max_length) for limit in field.metadata if isinstance(limit, MaxLen))


# What somebody wrote; an address, an id or a tag that is cut would be another one.
_OF_A_TICKET = {"subject": _longest(Subject), "customerName": _longest(Name)}
_OF_A_MESSAGE = {"body": _longest(Body), "bodyHtml": _longest(BodyHtml), "senderName": _longest(Name)}


def shorten(ticket: dict[str, Any]) -> list[str]:
    """Shortens what is too long, in place, and tells of each text."""
    told = _shorten_fields(ticket, _OF_A_TICKET, "")
    messages = ticket.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else []):
        if isinstance(message, dict):
            told += _shorten_fields(message, _OF_A_MESSAGE, f"messages.{index}.")
    return told


def _shorten_fields(fields: dict[str, Any], longest: dict[str, int], prefix: str) -> list[str]:
    told = []
    for name, limit in longest.items():
        text = fields.get(name)
        if isinstance(text, str) and len(text) > limit:
            fields[name] = _cut_html(text, limit) if name == "bodyHtml" else text[: limit - len(MARK)] + MARK
            told.append(f"{prefix}{name} was shortened from {len(text):,} characters to {len(fields[name]):,}")
    return told


def _cut_html(text: str, limit: int) -> str:
    """Cut before a tag or an entity that would be left open, so that the mark is seen."""
    kept = text[: limit - len(HTML_MARK)]
    opened = kept.rfind("<")
    if opened > kept.rfind(">"):
        kept = kept[:opened]
    entity = kept.rfind("&", max(0, len(kept) - _LONGEST_ENTITY))
    if entity >= 0 and ";" not in kept[entity:]:
        kept = kept[:entity]
    return kept + HTML_MARK
