"""Every refusal in the one shape: the desk's own errors, Flask's and Werkzeug's, and bugs."""

from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from keva import errors, limits, log
from keva.api.request_log import log_answer
from keva.api.responses import JsonResponse

_STATUSES = {
    errors.Invalid: 400,
    errors.NoKey: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TimedOut: 408,
    errors.UnsupportedType: 415,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
_BUG = "Keva failed on this request, which is a bug: its log has the details."


def register(app: Flask) -> None:
    """Has `app` answer each exception with its status and the one shape."""
    app.register_error_handler(errors.KevaError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _refuse_bug)


def _refuse(error: errors.KevaError) -> Response:
    status = _STATUSES[type(error)]
    response = _refusal(status, error.sentence, getattr(error, "details", None), getattr(error, "of_key", ""))
    if isinstance(error, errors.NoKey):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.NotNow) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _refuse_http(error: HTTPException) -> Response:
    """What Flask and Werkzeug refuse by themselves."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        response = _refusal(405, f"{request.method} is not a method of this path: use {allowed}.")
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, NotFound):
        return _refusal(404, _no_route(request.path))
    if isinstance(error, RequestEntityTooLarge):
        return _refusal(413, limits.BODY_TOO_LARGE)
    return _refusal(error.code or 400, f"The request cannot be read ({error.name.lower()}): mend it and try again.")


def _no_route(path: str) -> str:
    if path != "/" and path.endswith("/"):
        return "There is no such path: leave out the slash at its end."
    beside = _calls_under(path.split("/")[1])
    if beside:
        return f"There is no such path, but {', '.join(beside)}: /openapi.json describes them."
    return "There is no such path: the calls are under /api/v1/tickets, and /openapi.json describes them."


def _calls_under(first: str) -> list[str]:
    """The calls of a desk for tests whose paths begin so; those of the API are told otherwise."""
    if not first.startswith("__"):
        return []
    rules = [rule for rule in current_app.url_map.iter_rules() if rule.rule.startswith(f"/{first}/")]
    return sorted(f"{method} {rule.rule}" for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"})


def _refuse_bug(error: Exception) -> Response:
    log.LOG.exception("%s %s failed", request.method, request.path)
    return _refusal(500, _BUG)


def _refusal(status: int, sentence: str, details: Any = None, of_key: str = "") -> Response:
    log_answer(status, sentence + of_key)
    return JsonResponse(errors.body(sentence, details), status)
