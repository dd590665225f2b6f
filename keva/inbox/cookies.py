"""The cookie that holds a session's token; its name has the port, which cookies themselves know nothing of."""

from flask import Request, Response

from keva.inbox.site import Site
from keva.people import SESSION_SECONDS


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
        path=_path(request),
        secure=_secure(request, site),
        httponly=True,
        samesite="Lax",
    )


def forget(response: Response, request: Request, site: Site) -> None:
    response.delete_cookie(
        name_of(request), path=_path(request), secure=_secure(request, site), httponly=True, samesite="Lax"
    )


def _path(request: Request) -> str:
    return f"{request.script_root}/inbox"


def _secure(request: Request, site: Site) -> bool:
    """Also where a trusted proxy says that this request came to it over TLS, and no site was named."""
    return site.secure or request.is_secure
