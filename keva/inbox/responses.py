"""Answers that are no page."""

from typing import cast

from flask import Response, redirect, request


def see(path: str) -> Response:
    """GET that page next, by its path within the site: what was posted is not posted again by a reload."""
    return cast(Response, redirect(request.script_root + path, 303))
