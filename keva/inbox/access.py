"""Marks of views: those that need nobody signed in, and those that a script asks for."""

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])

_PUBLIC = "keva_public"
_FRAGMENT = "keva_fragment"


def public(view: View) -> View:
    """The view answers without a session; all others need one."""
    setattr(view, _PUBLIC, True)
    return view


def fragment(view: View) -> View:
    """A script asks for the view: without a session it is told 401, instead of being sent to the sign-in page."""
    setattr(view, _FRAGMENT, True)
    return view


def is_public(view: Callable[..., Any]) -> bool:
    return getattr(view, _PUBLIC, False)


def is_fragment(view: Callable[..., Any]) -> bool:
    return getattr(view, _FRAGMENT, False)
