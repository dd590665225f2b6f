"""Every refusal as a page that says what is wrong and how to mend it: the desk's own, Flask's, and bugs."""

from flask import Flask, Response, g, make_response, render_template, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from keva import errors, limits, log

_STATUSES = {
    errors.Invalid: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
_SENTENCES = {
    401: "You are not signed in: sign in first.",
    405: "This address takes no such request: go back and use the page's own buttons.",
    413: limits.BODY_TOO_LARGE,
}
_BUG = "Keva failed on this page, which is a bug: its log has the details."


def register(app: Flask) -> None:
    """Has `app` answer each exception with its status and a page."""
    app.register_error_handler(errors.KevaError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _refuse_bug)


def _refuse(error: errors.KevaError) -> Response:
    response = _page(status_of(error), error.sentence)
    if isinstance(error, errors.NotNow) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _refuse_http(error: HTTPException) -> Response:
    status = error.code or 400
    sentence = _SENTENCES.get(status, f"The request cannot be read ({error.name.lower()}).")
    if status == 404:
        sentence = f"There is no such page: the tickets are at {request.script_root}/inbox."
    response = _page(status, sentence)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return response


def _refuse_bug(error: Exception) -> Response:
    log.LOG.exception("%s %s failed", request.method, shown_path())
    return _page(500, _BUG)


def status_of(error: errors.KevaError) -> int:
    return _STATUSES.get(type(error), 400)


def shown_path() -> str:
    """The path for the log: of a route that takes a token, the route."""
    rule = request.url_rule
    return rule.rule if rule and "token" in rule.arguments else request.path


def _page(status: int, sentence: str) -> Response:
    g.refusal = sentence  # for the log
    return make_response(render_template("refusal.html", status=status, sentence=sentence), status)
