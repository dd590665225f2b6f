"""The API's lines in the log: who called, what was answered and, when verbose, how long that took."""

from flask import Flask, Response, g, request

from keva import log
from keva.clocks import elapsed


def be_verbose(app: Flask) -> None:
    """Has `app` log every request, with the time until its answer was there."""
    app.before_request(_note_beginning)
    app.after_request(_log_success)


def log_answer(status: int, sentence: str = "") -> None:
    """A line for the request that is being answered."""
    caller, began = g.get("caller"), g.get("began")
    log.log_request(
        request.remote_addr or "-",
        request.method,
        request.path,
        status,
        sentence,
        caller.shown if caller else "",
        None if began is None else elapsed() - began,
    )


def _note_beginning() -> None:
    g.began = elapsed()


def _log_success(response: Response) -> Response:
    if response.status_code < 400:
        log_answer(response.status_code)
    return response
