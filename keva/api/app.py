"""The Flask app: routes each endpoint, lets callers in, reads what was sent, answers."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from flask import Flask, Request, Response, g, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from keva.api import openapi, refusals, request_log
from keva.api.body import read_body
from keva.api.endpoints import ENDPOINTS
from keva.api.gate import Gate
from keva.api.rate_limit import RateLimit
from keva.api.registry import Answer, Call, Endpoint
from keva.api.responses import JsonResponse, LongJsonResponse
from keva.identity import Keyring
from keva.limits import MAX_BODY
from keva.storage.database import Database
from keva.validation import read_object, read_query, validate_query


def create_app(
    database: Database,
    keyring: Keyring,
    limit: RateLimit | None = None,
    verbose: bool = False,
    more_endpoints: Sequence[Endpoint] = (),
    more_links: Mapping[str, str] | None = None,
) -> Flask:
    """The API as a WSGI application: the six endpoints and `more_endpoints`; GET / tells of `more_links` too."""
    served = [*ENDPOINTS, *more_endpoints]
    app = _App("keva", static_folder=None)
    app.session_interface = _NoSession()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    gate = Gate(database.clock, keyring, limit)
    for endpoint in served:
        app.add_url_rule(endpoint.path, endpoint.name, _view(database, gate, endpoint), methods=[endpoint.method])
    _add_own_routes(app, database, served, more_links or {})
    refusals.register(app)
    if limit:
        app.after_request(_add_limit_headers)
    if verbose:
        request_log.be_verbose(app)
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


def _view(database: Database, gate: Gate, endpoint: Endpoint) -> Callable[..., Response]:
    no_query = endpoint.query()

    def view(**path: str) -> Response:
        parameters = read_query(request.environ["QUERY_STRING"])
        with database.read() as reader:
            caller = gate.authorize(reader, request.environ, endpoint.scope, parameters)
            query = validate_query(endpoint.query, parameters) if parameters else no_query
            body = read_object(read_body(), endpoint.body) if endpoint.body else None
            return _response(endpoint.view(Call(database, reader, caller, query, body, path)))

    return view


def _response(answer: Answer) -> Response:
    response = _json(answer)
    if answer.status == 204:
        del response.headers["Content-Type"]
    if answer.location:
        response.headers["Location"] = request.script_root + answer.location
    return response


def _json(answer: Answer) -> Response:
    return JsonResponse(answer.json, answer.status) if isinstance(answer.json, str) else LongJsonResponse(answer.json)


def _add_own_routes(app: Flask, database: Database, served: list[Endpoint], more_links: Mapping[str, str]) -> None:
    @cache
    def document() -> dict[str, Any]:  # made when it is first asked for, since it takes longer than all else here
        return openapi.document(served)

    pointers = {"openapi": "/openapi.json", "health": "/healthz", **more_links}

    def root() -> Response:
        return _shown({name: request.script_root + path for name, path in pointers.items()})

    def described() -> Response:
        return _shown(document() | {"servers": [{"url": request.script_root or "/"}]})

    def healthz() -> Response:
        database.check_health()
        return JsonResponse('{"status":"ok"}')

    app.add_url_rule("/", "root", root, methods=["GET"])
    app.add_url_rule("/openapi.json", "openapi", described, methods=["GET"])
    app.add_url_rule("/healthz", "healthz", healthz, methods=["GET"])


def _shown(value: object) -> Response:
    return JsonResponse(json.dumps(value, ensure_ascii=False))


def _add_limit_headers(response: Response) -> Response:
    response.headers.update(g.get("limit", {}))
    return response
