"""Answers that are no page."""

from typing import cast

from flask import Response, redirect


def see(path: str) -> Response:
    """GET that page next: what was posted is not posted again by a reload."""
    return cast(Response, redirect(path, 303))
