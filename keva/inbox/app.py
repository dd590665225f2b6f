"""The Flask app of the inbox: its rooms, its gate, its headers."""

from collections.abc import Callable
from functools import partial

from flask import Flask, Request, Response, g, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from keva import log
from keva.clocks import elapsed, machine_time
from keva.inbox import gate, headers, new_ticket, refusals, requests, settings, sign_in, thread, tickets, webhooks
from keva.inbox.assets import Assets
from keva.inbox.attempts import Attempts
from keva.inbox.context import Inbox
from keva.inbox.journal import Journal
from keva.inbox.site import Site
from keva.inbox.text import linked
from keva.inbox.times import ago, exactly
from keva.limits import MAX_BODY
from keva.search.index import SearchIndex
from keva.storage.database import Database


def create_inbox(
    database: Database,
    site: Site,
    verbose: bool = False,
    journal: Journal | None = None,
    clock: Callable[[], float] = machine_time,
) -> Flask:
    """All pages under /inbox as a WSGI application, with the requests of a desk for tests if it has a `journal`.

    `clock` gives the machine's time, not the desk's.
    """
    app = _App("keva.inbox", static_folder=None)
    app.extensions["keva"] = Inbox(database, site, clock, Attempts(clock), _search_index(database, journal), journal)
    app.session_interface = _NoSession()
    # Flask's own limit for a form is lower than 100,000 characters in percent-encoding.
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, MAX_FORM_MEMORY_SIZE=MAX_BODY, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    assets = Assets()
    app.add_url_rule("/inbox/static/<name>", "assets", assets.serve, methods=["GET"])
    # What every template has: the addresses of style and script, who is signed in (None for nobody), and what stands
    # before /inbox in an address of the site.
    app.jinja_env.globals["asset"] = assets.url
    app.jinja_env.globals["for_tests"] = journal is not None
    app.jinja_env.filters.update(linked=linked, ago=ago, exactly=exactly)
    app.context_processor(lambda: {"user": g.get("user"), "root": request.script_root})
    pages = [tickets.bp, new_ticket.bp, thread.bp, sign_in.bp, settings.bp, webhooks.bp]
    for blueprint in (*pages, *([requests.bp] if journal else [])):
        app.register_blueprint(blueprint)
    app.before_request(_note_beginning)
    gate.register(app)
    headers.register(app)
    refusals.register(app)
    app.after_request(partial(_log, verbose))
    return app


def _search_index(database: Database, journal: Journal | None) -> SearchIndex:
    index = SearchIndex(database.path)
    if journal:
        index.forget()  # a desk for tests may have been emptied by an earlier process, and its ids begin anew
    database.companions.append(index)
    return index


class _App(Flask):
    """Flask without a look at the Host header, which the gate checks."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        return MapAdapter(self.url_map, "", "/", None, "http", request.path, request.method)


class _NoSession(SessionInterface):
    """Flask's sessions lie in a signed cookie; ours are in the database."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


def _note_beginning() -> None:
    g.began = elapsed()


def _log(verbose: bool, response: Response) -> Response:
    if response.status_code >= 400 or verbose:
        user = g.get("user")
        log.log_request(
            request.remote_addr or "-",
            request.method,
            refusals.shown_path(),
            response.status_code,
            g.get("refusal", ""),
            f"{user.id} ({user.name})" if user else "",
            elapsed() - g.began if verbose else None,
        )
    return response
