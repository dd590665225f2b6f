"""The Flask app: routes each endpoint, lets callers in, reads what was sent, answers."""

import json
from collections.abc import Callable, Sequence

from flask import Flask, Request, Response, g, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from keva import errors, log
from keva.api import openapi, refusals
from keva.api.endpoints import ENDPOINTS
from keva.api.rate_limit import RateLimit
from keva.api.registry import Answer, Call, Endpoint
from keva.api.responses import JsonResponse
from keva.identity import EVERYTHING, Caller, Keyring
from keva.limits import MAX_BODY
from keva.storage.database import Database
from keva.storage.transaction import Reader
from keva.validation import read_object, read_query, validate_query


def create_app(
    database: Database,
    keyring: Keyring,
    limit: RateLimit | None = None,
    verbose: bool = False,
    more_endpoints: Sequence[Endpoint] = (),
) -> Flask:
    """The whole service as a WSGI application: the six endpoints and `more_endpoints`."""
    served = [*ENDPOINTS, *more_endpoints]
    app = _App("keva", static_folder=None)
    app.session_interface = _NoSession()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    gate = _Gate(database.clock, keyring, limit)
    for endpoint in served:
        app.add_url_rule(endpoint.path, endpoint.name, _view(database, gate, endpoint), methods=[endpoint.method])
    _add_own_routes(app, database, served)
    refusals.register(app)
    if limit:
        app.after_request(_add_limit_headers)
    if verbose:
        app.after_request(_log_success)
    return app


class _App(Flask):
    """Flask without what it does for each request that an API at the root of any host has no use for."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        # Werkzeug drops surplus slashes at the start of a path, and would find a route for it.
        path = "/?" if request.environ["PATH_INFO"].startswith("//") else request.path
        return MapAdapter(self.url_map, "", "/", None, "http", path, request.method)  # no host to work out


class _NoSession(SessionInterface):
    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


class _Gate:
    """Lets a caller in, in the contract's order: key, limit, scope, workspace."""

    def __init__(self, clock: Callable[[], float], keyring: Keyring, limit: RateLimit | None) -> None:
        self._clock, self._keyring, self._limit = clock, keyring, limit

    def authorize(self, reader: Reader, scope: str, parameters: list[tuple[str, str]]) -> Caller:
        """The caller of the current request; NoKey, TooMany, Forbidden, Invalid or NotFound."""
        environ = request.environ
        caller = self._keyring.authenticate(reader, environ.get("HTTP_AUTHORIZATION"), self._clock)
        if self._limit and scope != EVERYTHING:
            g.limit, refusal = self._limit.count(caller.key)
            if refusal:
                raise refusal
        caller.needs(scope)
        workspace = _picked_workspace(environ.get("HTTP_X_WORKSPACE_ID"), parameters)
        return caller.within(reader, workspace) if workspace else caller


def _picked_workspace(header: str | None, parameters: list[tuple[str, str]]) -> str | None:
    """The workspace that the header or the query names; Invalid when they name two."""
    # An empty or repeated parameter is refused with the other parameters.
    picked = {value for name, value in parameters if name == "workspace_id" and value}
    if header == "":
        raise errors.Invalid("X-Workspace-Id is empty: leave it out or give a workspace.")
    if header is not None:
        picked.add(header)
    if len(picked) > 1:
        raise errors.Invalid("Two workspaces are named: send one, as workspace_id or as X-Workspace-Id.")
    return picked.pop() if picked else None


def _view(database: Database, gate: _Gate, endpoint: Endpoint) -> Callable[..., Response]:
    no_query = endpoint.query()

    def view(**path: str) -> Response:
        parameters = read_query(request.environ["QUERY_STRING"])
        with database.read() as reader:
            caller = gate.authorize(reader, endpoint.scope, parameters)
            query = validate_query(endpoint.query, parameters) if parameters else no_query
            body = read_object(_body(), endpoint.body) if endpoint.body else None
            return _response(endpoint.view(Call(database, reader, caller, query, body, path)))

    return view


def _body() -> bytes:
    data = request.get_data(cache=False)
    if request.mimetype != "application/json" and (data or request.mimetype):
        raise errors.UnsupportedType("The body is not JSON: send the header 'Content-Type: application/json'.")
    return data


def _response(answer: Answer) -> Response:
    response = JsonResponse(answer.json, answer.status)
    if answer.status == 204:
        del response.headers["Content-Type"]
    if answer.location:
        response.headers["Location"] = answer.location
    return response


def _add_own_routes(app: Flask, database: Database, served: list[Endpoint]) -> None:
    document = json.dumps(openapi.document(served), ensure_ascii=False)
    pointers = json.dumps({"openapi": "/openapi.json", "health": "/healthz"})

    def healthz() -> Response:
        database.check_health()
        return JsonResponse('{"status":"ok"}')

    app.add_url_rule("/", "root", lambda: JsonResponse(pointers), methods=["GET"])
    app.add_url_rule("/openapi.json", "openapi", lambda: JsonResponse(document), methods=["GET"])
    app.add_url_rule("/healthz", "healthz", healthz, methods=["GET"])


def _add_limit_headers(response: Response) -> Response:
    response.headers.update(g.get("limit", {}))
    return response


def _log_success(response: Response) -> Response:
    if response.status_code < 400:
        log.log_request(request.remote_addr or "-", request.method, request.path, response.status_code)
    return response
