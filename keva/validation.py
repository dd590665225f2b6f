"""Checks what a caller sent against a model, and says in plain words what is wrong with it."""

import re
from difflib import get_close_matches
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from keva import times
from keva.errors import Invalid
from keva.models import Query
from keva.patterns import EMAIL, NOT_BLANK, PLAIN_NAME
from keva.strict_json import read_json, repeated

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
    "too_long": "must hold at most {max_length}",
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


def read_object(data: bytes, model: type[Model], what: str = "The body") -> Model:
    """The JSON object in `data`, as `model` has it; Invalid, which names `what`, where it is none such."""
    return validate(model, read_fields(data, model, what))


def read_fields(data: bytes, model: type[BaseModel], what: str) -> dict[str, Any]:
    """The JSON object in `data`, about as large as those that `model` takes; Invalid where it is none such."""
    value = read_json(data, what)
    if not isinstance(value, dict):
        raise Invalid(f"{what} {_no_object(value)}: send a JSON object such as {_example(model)}.")
    if not value and _needs_a_field(model):
        raise Invalid(f"{what} is an empty object: send at least one of {_list(model)}.")
    if len(value) > _MOST_FIELDS:  # to tell of each would cost more than to send them
        raise Invalid(f"{what} has {len(value)} fields, where there are only {_list(model)}.")
    return value


def _no_object(value: Any) -> str:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return "is JSON within JSON, a text that holds an object"
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return f"is {kinds.get(type(value), 'a number')}, not a JSON object"


def _example(model: type[BaseModel]) -> str:
    return f'{{"{_names(model)[0]}": "..."}}'


def _needs_a_field(model: type[BaseModel]) -> bool:
    more = model.model_config.get("json_schema_extra")
    return isinstance(more, dict) and bool(more.get("minProperties"))


def read_query(query_string: str) -> list[tuple[str, str]]:
    """The parameters in their order, those without a value too."""
    return parse_qsl(query_string, keep_blank_values=True) if query_string else []


def validate_query(model: type[Model], pairs: list[tuple[str, str]]) -> Model:
    """The parameters as `model` has them; a repeated, empty or unknown one is Invalid."""
    if len(pairs) > _MOST_FIELDS:
        raise Invalid(f"The query has {len(pairs)} parameters, where there are only {_list(model)}.")
    wrong = {name: "must not be empty: leave it out or give a value" for name, value in pairs if value == ""}
    wrong |= dict.fromkeys(repeated(pairs), "is given more than once")
    known = {name: what for name, what in wrong.items() if name in model.model_fields}
    return validate(model, dict(pairs), known)


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


def _field(detail: ErrorDetails) -> str:
    return ".".join(str(part)[:_SHOWN_OF_A_NAME] for part in detail["loc"])


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _unknown(str(detail["loc"][-1]), _model_at(detail["loc"], model))
    if value is None:
        return "must not be null: leave it out instead"
    if kind == "string_pattern_mismatch":
        return _mismatch(detail["ctx"]["pattern"], value)
    return _WRONG.get(kind, "is not valid").format(**detail.get("ctx", {}))


def _model_at(location: tuple[str | int, ...], model: type[BaseModel]) -> type[BaseModel]:
    """The model of the object that holds what is at `location`, such as that of `messages` for messages.0.colour."""
    for part in location[:-1]:
        field = next((field for name, field in model.model_fields.items() if part in (name, field.alias)), None)
        inner = [kind for kind in get_args(field.annotation) if _is_model(kind)] if field else []
        model = inner[0] if inner else model
    return model


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _unknown(name: str, model: type[BaseModel]) -> str:
    noun = "parameter" if issubclass(model, Query) else "field"
    meant = _alike(name, _names(model))
    hint = f" (did you mean {meant}?)" if meant else ""
    what = "is" if name else "an empty name is"
    owner = getattr(model, "owner", "this call")
    return f"{what} not a {noun} of {owner}{hint}, which takes {_list(model)}"


def _alike(name: str, names: list[str]) -> str | None:
    """The one of `names` that differs only in case and signs, as perPage and status[] do, or in a letter or two."""
    plain = {_plain(known): known for known in names}
    found = get_close_matches(_plain(name[:_SHOWN_OF_A_NAME]), plain, n=1, cutoff=0.8)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _mismatch(pattern: str, value: str) -> str:
    if pattern == EMAIL:
        return "must be an email address such as customer@example.com"
    if pattern == NOT_BLANK:
        return "must not hold the character NUL" if "\0" in value else "must not be blank"
    if pattern == PLAIN_NAME:
        return "must be 1 to 64 letters, digits, _ or -"
    if pattern == times.WITH_OFFSET:
        return "must be a time with Z or an offset, such as 2024-01-15T10:30:00Z"
    return f"must be {pattern[1:].partition('_')[0]}_ and then 1 to 64 letters, digits, _ or -"  # an id


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _list(model: type[BaseModel]) -> str:
    return ", ".join(_names(model))
