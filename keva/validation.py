"""Checks what a caller sent against a model, and says in plain words what is wrong with it."""

import json
from collections import Counter
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from keva import times
from keva.errors import Invalid
from keva.models import Query
from keva.patterns import EMAIL, NOT_BLANK

Model = TypeVar("Model", bound=BaseModel)

_TOLD_AT_ONCE = 5  # fields in the sentence; all of them are in the details
_MOST_FIELDS = 100
_MOST_ERRORS = 1000
_SHOWN_OF_A_NAME = 100  # characters

# What is said of a field, by the pydantic type of its error; the words in braces come from the error's context.
_WRONG = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": "holds half a surrogate pair: send whole characters",
    "string_too_short": "must not be blank",
    "string_too_long": "is too long: at most {max_length} characters",
    "too_short": "must hold at least {min_length}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error}",
}


def read_json(data: bytes, what: str = "The body") -> Any:
    """The value of strict JSON: UTF-8, no duplicate keys, no NaN; Invalid, which names `what`, for anything else."""
    if not data.strip():
        raise Invalid(f"{what} is empty: send a JSON object.")
    try:
        return _STRICT.decode(data.decode())
    except Invalid:
        raise
    except UnicodeDecodeError as error:
        raise Invalid(f"{what} is not UTF-8 at byte {error.start}: encode the JSON as UTF-8.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid(f"{what} is not JSON: {error.msg.lower().removesuffix(' at')} at {where}.") from error
    except RecursionError as error:
        raise Invalid(f"{what} is nested too deep: send a flat JSON object.") from error
    except ValueError as error:  # of int(), past 4,300 digits
        raise Invalid(f"{what} holds a number with too many digits.") from error


def read_object(data: bytes, model: type[Model], what: str = "The body") -> Model:
    """The JSON object in `data`, as `model` has it; Invalid, which names `what`, where it is none such."""
    value = read_json(data, what)
    if not isinstance(value, dict):
        raise Invalid(f'{what} is not a JSON object: send one such as {{"subject": "..."}}.')
    if not value and _needs_a_field(model):
        raise Invalid(f"{what} is an empty object: send at least one of {_names(model)}.")
    if len(value) > _MOST_FIELDS:  # to tell of each would cost more than to send them
        raise Invalid(f"{what} has {len(value)} fields, where there are only {_names(model)}.")
    return validate(model, value)


def _needs_a_field(model: type[BaseModel]) -> bool:
    more = model.model_config.get("json_schema_extra")
    return isinstance(more, dict) and bool(more.get("minProperties"))


def read_query(query_string: str) -> list[tuple[str, str]]:
    """The parameters in their order, those without a value too."""
    return parse_qsl(query_string, keep_blank_values=True) if query_string else []


def validate_query(model: type[Model], pairs: list[tuple[str, str]]) -> Model:
    """The parameters as `model` has them; a repeated, empty or unknown one is Invalid."""
    if len(pairs) > _MOST_FIELDS:
        raise Invalid(f"The query has {len(pairs)} parameters, where there are only {_names(model)}.")
    given = dict(pairs)
    wrong = {}
    for name, value in pairs:
        if name in model.model_fields and value == "":
            wrong[name] = "must not be empty: leave it out or give a value"
    if len(given) < len(pairs):
        wrong |= dict.fromkeys(_repeated(pairs), "is given more than once")
    return validate(model, given, wrong)


def validate(model: type[Model], given: dict[str, Any], wrong: dict[str, str] | None = None) -> Model:
    """`given` as a `model`; Invalid, with all that is wrong at once, where it does not fit or `wrong` says so."""
    wrong = wrong or {}
    untold = 0
    try:
        fitting = model.model_validate(given)
    except ValidationError as error:
        found = _errors(model, given, error)
        untold = max(0, error.error_count() - len(found))
        for detail in found:
            wrong.setdefault(_field(detail), _message(detail, model))
    if not wrong and not untold:
        return fitting
    raise _invalid(wrong, untold)


def _errors(model: type[BaseModel], given: dict[str, Any], error: ValidationError) -> list[ErrorDetails]:
    """Its errors or, where telling each would take seconds, those in the first elements of each list."""
    if error.error_count() <= _MOST_ERRORS:
        return error.errors(include_url=False)
    try:
        model.model_validate(_first_of_lists(given))
    except ValidationError as first:
        return first.errors(include_url=False)[:_MOST_ERRORS]
    return []


def _first_of_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _first_of_lists(part) for name, part in value.items()}
    return [_first_of_lists(part) for part in value[:_MOST_FIELDS]] if isinstance(value, list) else value


def _invalid(wrong: dict[str, str], untold: int) -> Invalid:
    details = [{"field": field, "message": message} for field, message in wrong.items()]
    told = [f"{detail['field']} {detail['message']}".strip() for detail in details[:_TOLD_AT_ONCE]]
    more = len(details) - len(told) + untold
    if not told:
        return Invalid(f"{more} values do not fit, though the first {_MOST_FIELDS} of each list do.")
    return Invalid("; ".join(told + ([f"and {more} more"] if more else [])) + ".", details)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if not all(map(_is_whole, value)):
        raise Invalid("The name of a field holds half a surrogate pair: send whole characters.")
    if len(value) < len(pairs):
        twice = _repeated(pairs)[0]
        raise Invalid(f"The key {twice[:_SHOWN_OF_A_NAME]!r} is given more than once in one object: leave one.")
    return value


def _repeated(pairs: list[tuple[str, Any]]) -> list[str]:
    """The names that are given more than once, found in one pass: a body may have very many."""
    return [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def _is_whole(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _no_number(text: str) -> Any:
    raise Invalid(f"{text} is not JSON: leave it out or send a number.")


def _field(detail: ErrorDetails) -> str:
    return ".".join(str(part)[:_SHOWN_OF_A_NAME] for part in detail["loc"])


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        noun = "parameter" if issubclass(model, Query) else "field"
        what = "is" if detail["loc"][-1] else "an empty name is"
        return f"{what} not a {noun} of this call, which takes {_names(model)}"
    if value is None:
        return "must not be null: leave it out instead"
    if kind == "string_pattern_mismatch":
        return _mismatch(detail["ctx"]["pattern"], value)
    return _WRONG.get(kind, "is not valid").format(**detail.get("ctx", {}))


def _mismatch(pattern: str, value: str) -> str:
    if pattern == EMAIL:
        return "must be an email address such as customer@example.com"
    if pattern == NOT_BLANK:
        return "must not hold the character NUL" if "\0" in value else "must not be blank"
    if pattern == times.PATTERN:
        return "must be a time such as 2024-01-15T10:30:00Z"
    return f"must be {pattern[1:].partition('_')[0]}_ and then 1 to 64 letters, digits, _ or -"  # an id


_STRICT = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def _names(model: type[BaseModel]) -> str:
    return ", ".join(field.alias or name for name, field in model.model_fields.items())
