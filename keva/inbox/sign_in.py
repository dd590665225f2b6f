"""Signing in, by email and password or by a link, and out; what was being sent when a session ended is carried on."""

from urllib.parse import quote, urlencode

from flask import Blueprint, Response, make_response, render_template, request

from keva import people
from keva.errors import Invalid, NotNow
from keva.inbox import cookies, passwords, refusals
from keva.inbox.access import public
from keva.inbox.after import After
from keva.inbox.context import database, inbox, signed_in
from keva.inbox.responses import see
from keva.people import Link, User
from keva.storage.transaction import Transaction

bp = Blueprint("sign_in", __name__, url_prefix="/inbox")

_WRONG = "The email or the password is wrong: try again, or ask for a link that signs you in."
_ENDED = "You are not signed in any more. Sign in, and what you wrote is there again."


def ask_to_sign_in() -> Response:
    """The answer to who is not signed in: the way to the sign-in page, or that page with the form that was sent."""
    if request.method in ("GET", "HEAD"):
        query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
        wanted = quote(request.path) + query
        return see(f"/inbox/sign-in?{urlencode({'next': wanted})}" if wanted != "/inbox" else "/inbox/sign-in")
    return _form(After.sending(request), 401, _ENDED)


@bp.get("/sign-in")
@public
def ask() -> Response:
    """The form of email and password; who is signed in is sent on."""
    after = After.of(request.args)
    return see(after.path) if signed_in() else _form(after)


@bp.post("/sign-in")
@public
def sign_in() -> Response:
    """With an email, signs in as that user; without one, goes on as who signed in meanwhile, in another tab."""
    after = After.of(request.form)
    email = request.form.get("email", "")
    if not email and signed_in():
        return _go_on(after)
    try:
        token = _session_by_password(email, request.form.get("password", ""))
    except NotNow as error:  # too many tries, or too much to do: what was typed stays
        response = _form(after, refusals.status_of(error), error.sentence)
        response.headers["Retry-After"] = str(error.retry_after or 1)
        return response
    if token is None:
        return _form(after, 401, _WRONG)
    return _with_cookie(_go_on(after), token)


@bp.get("/sign-in/<token>")
@public
def show_link(token: str) -> Response:
    """Changes nothing: a mail scanner or a preview that follows the link does not use it up."""
    return _link_page(_link(token))


@bp.post("/sign-in/<token>")
@public
def use_link(token: str) -> Response:
    """Signs in, this once, with the password chosen if the link asks for one."""
    link = _link(token)
    try:
        hashed = passwords.hash_of(request.form.get("password", "")) if link.asks_password else None
    except Invalid as error:
        return _link_page(link, 400, error.sentence)
    with database().write() as tx:
        user = people.use_link(tx, token, inbox().clock())
        if hashed:
            people.set_password(tx, user, hashed)
        session = _start_session(tx, user)
    return _with_cookie(see("/inbox"), session)


@bp.post("/sign-out")
@public
def sign_out() -> Response:
    with database().write() as tx:
        people.end_session(tx, cookies.token_of(request))
    response = see("/inbox/sign-in")
    cookies.forget(response, request, inbox().site)
    return response


def _link(token: str) -> Link:
    with database().read() as reader:
        return people.link(reader, token, inbox().clock())


def _session_by_password(email: str, password: str) -> str | None:
    """The token of a new session, None for a wrong email or password; NotNow when that is not looked at now."""
    tries = inbox().attempts.count(request.remote_addr or "", email)
    with database().read() as reader:
        found = people.with_password(reader, email)
    if not passwords.check(found[1] if found else None, password) or not found:
        return None
    with database().write() as tx:
        if people.with_password(tx, email) != found:  # disabled, or given another password, while this one was checked
            return None
        token = _start_session(tx, found[0])
    inbox().attempts.forgive(tries)
    return token


def _start_session(tx: Transaction, user: User) -> str:
    """Always a new one: a token that somebody planted in this browser is worth nothing afterwards."""
    people.end_session(tx, cookies.token_of(request))
    return people.start_session(tx, user, inbox().clock())


def _go_on(after: After) -> Response:
    """To the page that was wanted, or to what was being sent, for its writer to send it now."""
    if after.form is None:
        return see(after.path)
    return make_response(render_template("send_again.html", after=after))


def _form(after: After, status: int = 200, wrong: str = "") -> Response:
    page = render_template("sign_in.html", after=after, wrong=wrong, email=after.email)
    return make_response(page, status)


def _link_page(link: Link, status: int = 200, wrong: str = "") -> Response:
    page = render_template("sign_in_link.html", link=link, wrong=wrong, shortest=passwords.SHORTEST)
    return make_response(page, status)


def _with_cookie(response: Response, token: str) -> Response:
    cookies.keep(response, request, inbox().site, token)
    return response
