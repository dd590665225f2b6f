"""Lets requests in to the route that Flask has found: by the host asked, a form's origin, the session."""

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import Unauthorized

from keva import people
from keva.errors import Forbidden
from keva.inbox import cookies
from keva.inbox.access import is_fragment, is_public
from keva.inbox.context import database, inbox
from keva.inbox.sign_in import ask_to_sign_in

_SAFE_METHODS = ("GET", "HEAD")


def register(app: Flask) -> None:
    """Has each request of `app` checked before its view, and before it is told that there is none."""
    app.before_request(_check_host)
    app.before_request(_check_origin)
    app.before_request(_check_session)


def _check_host() -> None:
    g.user = None
    host = request.environ.get("HTTP_HOST")
    if not inbox().site.knows(host, int(request.environ["SERVER_PORT"])):
        raise Forbidden(
            f"The inbox is not to be found under the name {host!r}: "
            "open it under the address that the server tells, or start the server with --site."
        )


def _check_origin() -> None:
    """Refuses what another site's page sends in the user's name."""
    if request.method in _SAFE_METHODS:
        return
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # Browsers send the first to https and to this machine alone.
    own = fetch_site == "same-origin" if fetch_site else bool(origin) and _is_own(str(origin))
    if not own:
        raise Forbidden("This was sent by a page of another site: open the inbox and send it there.")


def _is_own(origin: str) -> bool:
    return inbox().site.is_own(origin, f"{request.scheme}://{request.environ['HTTP_HOST']}")


def _check_session() -> Response | None:
    view = current_app.view_functions.get(request.endpoint or "")
    token = cookies.token_of(request)
    if token:
        with database().read() as reader:
            g.user = people.user_of_session(reader, token, inbox().clock())
    if g.user or view is None or is_public(view):
        return None
    if is_fragment(view):
        raise Unauthorized
    return ask_to_sign_in()
