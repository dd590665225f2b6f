"""Settings: one's own password and keys of the keyboard; webhooks, API keys and users to look at."""

from flask import Blueprint, Response, make_response, render_template, request

from keva import identity, people
from keva.errors import Invalid, NotNow
from keva.inbox import cookies, passwords, refusals, webhooks
from keva.inbox.context import database, inbox, user
from keva.inbox.responses import see

bp = Blueprint("settings", __name__, url_prefix="/inbox/settings")

_WRONG = "That is not your present password: try again."
# What a redirect after a change says on the page, by the word in its address.
_SAVED = {
    "password": "Your password is changed. Wherever else you were signed in, you are not any more.",
    "shortcuts": "Your choice is saved.",
    "retry": "It is sent again now: reload the page to see what came back.",
}


@bp.get("")
def show() -> Response:
    """All of it on one page."""
    return _page()


@bp.post("/password")
def change_password() -> Response:
    """Takes the present password too, if there is one; ends all sessions, and starts this browser's anew."""
    me, new = user(), request.form.get("new_password", "")
    with database().read() as reader:
        present = people.with_password(reader, me.email)
    try:
        if present:
            _check_present(present[1])
        hashed = passwords.hash_of(new)
    except (Invalid, NotNow) as error:
        return _page(refusals.status_of(error), error.sentence)
    with database().write() as tx:
        people.set_password(tx, me, hashed)
        token = people.start_session(tx, me, inbox().clock())
    response = see("/inbox/settings?saved=password")
    cookies.keep(response, request, inbox().site, token)
    return response


@bp.post("/shortcuts")
def switch_shortcuts() -> Response:
    """Switches the single-letter keys on or off."""
    with database().write() as tx:
        people.set_shortcuts(tx, user(), "on" in request.form)
    return see("/inbox/settings?saved=shortcuts")


def _check_present(stored: str) -> None:
    """Counted like tries to sign in: a session that somebody took must not let them find the password out."""
    tries = inbox().attempts.count(request.remote_addr or "", user().email)
    if not passwords.check(stored, request.form.get("password", "")):
        raise Invalid(_WRONG)
    inbox().attempts.forgive(tries)


def _page(status: int = 200, wrong: str = "") -> Response:
    me = user()
    with database().snapshot() as reader:
        keys = identity.list_keys(reader, me.caller)
        users = people.list_all(reader, me.caller)
        hooks = webhooks.overviews(reader)
    page = render_template(
        "settings.html",
        keys=keys,
        users=users,
        webhooks=hooks,
        wrong=wrong,
        saved=_SAVED.get(request.args.get("saved", "")),
        shortest=passwords.SHORTEST,
    )
    return make_response(page, status)
