"""The body of a request, if its headers say that it is JSON as it is."""

from flask import request

from keva.errors import UnsupportedType

_JSON = "application/json"
_SEND_JSON = f"send JSON, with the header 'Content-Type: {_JSON}'"
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
_SHOWN = 100  # characters of a header


def read_body() -> bytes:
    """The bytes of the current request's body; UnsupportedType where its headers say that they are no plain JSON."""
    data = request.get_data(cache=False)
    sent = request.environ.get("CONTENT_TYPE", "")
    if data or sent:
        _check_type(sent, data)
    coding = request.environ.get("HTTP_CONTENT_ENCODING", "")
    if data and coding.lower() not in ("", "identity"):
        raise UnsupportedType(
            f"The body is said to be compressed: send the JSON as it is, without 'Content-Encoding: {coding[:_SHOWN]}'."
        )
    return data


def _check_type(sent: str, data: bytes) -> None:
    kind, *parameters = (part.strip() for part in sent.split(";"))
    if "," in sent and kind.lower().startswith(_JSON):
        raise UnsupportedType(f"The header Content-Type is given twice ({sent[:_SHOWN]}): send one, {_JSON}.")
    if not sent:
        raise UnsupportedType(f"The body has no Content-Type: {_SEND_JSON}.")
    if kind.lower() != _JSON:
        raise UnsupportedType(f"The body is said to be {kind[:_SHOWN] or 'nothing'}, not JSON: {_SEND_JSON}.")
    charset = next(
        (value for name, _, value in (p.partition("=") for p in parameters) if name.lower() == "charset"), ""
    )
    if charset.strip('"').lower() not in ("", *_UTF8) and not data.isascii():
        raise UnsupportedType(
            f"The body is said to be in {charset[:_SHOWN]}: send JSON in UTF-8, and leave charset out."
        )
