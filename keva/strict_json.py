"""Reads strict JSON, and says in plain words what is wrong with the rest: UTF-8, no key twice, no NaN."""

import codecs
import json
from collections import Counter
from typing import Any

from keva.errors import Invalid

_SHOWN_OF_A_KEY = 100  # characters
_GZIP = b"\x1f\x8b"


def read_json(data: bytes, what: str = "The body") -> Any:
    """The value that `data` holds; Invalid, which names `what`, where it is not strict JSON."""
    if not data.strip():
        raise Invalid(f"{what} is empty: send a JSON object.")
    try:
        return _STRICT.decode(data.decode())
    except Invalid:
        raise
    except UnicodeDecodeError as error:
        raise Invalid(f"{what} {_not_utf8(data, error.start)}") from error
    except json.JSONDecodeError as error:
        raise Invalid(f"{what} {_not_json(data, error)}") from error
    except RecursionError as error:
        raise Invalid(f"{what} is nested too deep: send a flat JSON object.") from error
    except ValueError as error:  # of int(), past 4,300 digits
        raise Invalid(f"{what} holds a number with too many digits.") from error


def repeated(pairs: list[tuple[str, Any]]) -> list[str]:
    """The names that are given more than once, found in one pass: a body may have very many."""
    return [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def _not_utf8(data: bytes, start: int) -> str:
    if data.startswith(_GZIP):
        return "is compressed with gzip: send the JSON as it is, without Content-Encoding."
    if encoding := _wide_encoding(data):
        return f"is {encoding}: encode the JSON as UTF-8."
    return f"is not UTF-8 at byte {start}: encode the JSON as UTF-8."


def _not_json(data: bytes, error: json.JSONDecodeError) -> str:
    if data.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark: send the JSON without the bytes EF BB BF before it."
    if encoding := _wide_encoding(data):
        return f"is {encoding}: encode the JSON as UTF-8."
    where = f"line {error.lineno}, column {error.colno}"
    return f"is not JSON: {error.msg.lower().removesuffix(' at')} at {where}."


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32, by its byte order mark or, as RFC 4627 says, by the zeros in its first four bytes."""
    found = json.detect_encoding(data[:4]) if len(data) >= 4 else "utf-8"
    return found[:6].upper() if found.startswith(("utf-16", "utf-32")) else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if not all(map(_is_whole, value)):
        raise Invalid("The name of a field holds half a surrogate pair: send whole characters.")
    if len(value) < len(pairs):
        twice = repeated(pairs)[0]
        raise Invalid(f"The key {twice[:_SHOWN_OF_A_KEY]!r} is given more than once in one object: leave one.")
    return value


def _is_whole(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _no_number(text: str) -> Any:
    raise Invalid(f"{text} is not JSON: leave it out or send a number.")


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
