"""Joins the calls to a Flask app: who may call, what was sent, and one shape for every refusal."""

import json
from collections.abc import Sequence
from typing import Any

from flask import Flask, Request, Response, g, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.routing import MapAdapter

from keva import api, errors, log, openapi
from keva.db import Desk
from keva.identity import EVERYTHING, Caller, Keyring
from keva.limit import RateLimit
from keva.sent import fit_query, read_object, read_query

MAX_BODY = 4 * 1024 * 1024

_STATUSES = {
    errors.Invalid: 400,
    errors.NoKey: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.UnsupportedType: 415,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
_BUG = "Keva failed on this request, which is a bug: its log has the details."


def create_app(
    desk: Desk,
    keyring: Keyring,
    limit: RateLimit | None = None,
    verbose: bool = False,
    more_calls: Sequence[api.Call] = (),
) -> Flask:
    """The whole service as a WSGI application: the six calls and `more_calls`."""
    calls = [*api.CALLS, *more_calls]
    app = _App("keva", static_folder=None)
    app.session_interface = _NoSession()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    gate = _Gate(desk, keyring, limit)
    for call in calls:
        app.add_url_rule(call.path, call.view.__name__, _view(desk, gate, call), methods=[call.method])
    _add_own_routes(app, desk, calls)
    app.register_error_handler(errors.Refused, _refused)
    app.register_error_handler(HTTPException, _http_refused)
    app.register_error_handler(Exception, _failed)
    if limit:
        app.after_request(_tell_limit)
    if verbose:
        app.after_request(_tell_success)
    return app


class _App(Flask):
    """Without what Flask does for each request that an API at the root of any host has no use for."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        # Werkzeug drops the slashes that a path has too many at its start, and would find it.
        path = "/?" if request.environ["PATH_INFO"].startswith("//") else request.path
        return MapAdapter(self.url_map, "", "/", None, "http", path, request.method)  # no host to work out


class _NoSession(SessionInterface):
    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


class _Json(Response):
    """Complete as it is made: sent without Werkzeug's second look at each header."""

    default_mimetype = "application/json"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = self.get_data()
        if self.status_code != 204:
            self.headers["Content-Length"] = str(len(body))
        start_response(self.status, list(self.headers))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _Gate:
    """Lets a caller in, in the contract's order: key, limit, scope, workspace."""

    def __init__(self, desk: Desk, keyring: Keyring, limit: RateLimit | None) -> None:
        self._desk, self._keyring, self._limit = desk, keyring, limit

    def admit(self, scope: str, asked: list[tuple[str, str]]) -> Caller:
        tx, environ = self._desk.read(), request.environ
        caller = self._keyring.caller(tx, environ.get("HTTP_AUTHORIZATION"), self._desk.clock)
        if self._limit and scope != EVERYTHING:
            g.limit, refusal = self._limit.count(caller.key)
            if refusal:
                raise refusal
        caller.needs(scope)
        # An empty or repeated parameter is refused with the other parameters.
        picked = {value for name, value in asked if name == "workspace_id" and value}
        if environ.get("HTTP_X_WORKSPACE_ID") == "":
            raise errors.Invalid("X-Workspace-Id is empty: leave it out or give a workspace.")
        if "HTTP_X_WORKSPACE_ID" in environ:
            picked.add(environ["HTTP_X_WORKSPACE_ID"])
        if len(picked) > 1:
            raise errors.Invalid("Two workspaces are named: send one, as workspace_id or as X-Workspace-Id.")
        return caller.within(tx, picked.pop()) if picked else caller


def _view(desk: Desk, gate: _Gate, call: api.Call) -> Any:
    plain = call.query()

    def view(**path: str) -> Response:
        asked = read_query(request.environ["QUERY_STRING"])
        caller = gate.admit(call.scope, asked)
        query = fit_query(call.query, asked) if asked else plain
        body = (read_object(_body(), call.body),) if call.body else ()
        return _answer(call.view(desk, caller, query, *body, **path))

    return view


def _body() -> bytes:
    data = request.get_data(cache=False)
    if request.mimetype != "application/json" and (data or request.mimetype):
        raise errors.UnsupportedType("The body is not JSON: send the header 'Content-Type: application/json'.")
    return data


def _answer(answer: api.Answer) -> Response:
    response = _Json(answer.json, answer.status)
    if answer.status == 204:
        del response.headers["Content-Type"]
    if answer.location:
        response.headers["Location"] = answer.location
    return response


def _add_own_routes(app: Flask, desk: Desk, calls: list[api.Call]) -> None:
    document = json.dumps(openapi.document(calls), ensure_ascii=False)
    pointers = json.dumps({"openapi": "/openapi.json", "health": "/healthz"})

    def healthz() -> Response:
        desk.check_health()
        return _Json('{"status":"ok"}')

    app.add_url_rule("/", "root", lambda: _Json(pointers), methods=["GET"])
    app.add_url_rule("/openapi.json", "openapi", lambda: _Json(document), methods=["GET"])
    app.add_url_rule("/healthz", "healthz", healthz, methods=["GET"])


def _refused(error: errors.Refused) -> Response:
    status = _STATUSES[type(error)]
    response = _refusal(status, error.sentence, getattr(error, "details", None), getattr(error, "of_key", ""))
    if isinstance(error, errors.NoKey):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.NotNow) and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _http_refused(error: HTTPException) -> Response:
    """What Flask and Werkzeug refuse by themselves."""
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        response = _refusal(405, f"{request.method} is not a method of this path: use {allowed}.")
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, NotFound):
        return _refusal(404, _no_route(request.path))
    if isinstance(error, RequestEntityTooLarge):
        return _refusal(413, f"The body is over {MAX_BODY // 1024**2} MiB: send less.")
    return _refusal(error.code or 400, f"The request cannot be read ({error.name.lower()}): mend it and try again.")


def _no_route(path: str) -> str:
    if path != "/" and path.endswith("/"):
        return "There is no such path: leave out the slash at its end."
    return "There is no such path: the calls are under /api/v1/tickets, and /openapi.json describes them."


def _failed(error: Exception) -> Response:
    log.LOG.exception("%s %s failed", request.method, request.path)
    return _refusal(500, _BUG)


def _refusal(status: int, sentence: str, details: Any = None, of_key: str = "") -> Response:
    log.answered(request.remote_addr or "-", request.method, request.path, status, sentence + of_key)
    return _Json(errors.body(sentence, details), status)


def _tell_limit(response: Response) -> Response:
    response.headers.update(g.get("limit", {}))
    return response


def _tell_success(response: Response) -> Response:
    if response.status_code < 400:
        log.answered(request.remote_addr or "-", request.method, request.path, response.status_code)
    return response
