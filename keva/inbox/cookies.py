"""The cookie that holds a session's token; its name has the port, which cookies themselves know nothing of."""

from flask import Request, Response

from keva.inbox.site import Site
from keva.people import SESSION_SECONDS

PATH = "/inbox"


def name_of(request: Request) -> str:
    """By the port that is listened on, so that two desks of one machine do not sign each other out."""
    return f"keva_{request.environ['SERVER_PORT']}"


def token_of(request: Request) -> str:
    """The session's token, empty where there is none."""
    return request.cookies.get(name_of(request), "")


def keep(response: Response, request: Request, site: Site, token: str) -> None:
    response.set_cookie(
        name_of(request),
        token,
        max_age=SESSION_SECONDS,
        path=PATH,
        secure=site.secure,
        httponly=True,
        samesite="Lax",
    )


def forget(response: Response, request: Request, site: Site) -> None:
    response.delete_cookie(name_of(request), path=PATH, secure=site.secure, httponly=True, samesite="Lax")
