"""The values of fields and queries, which may be anything: what each stands for, or what is taken instead."""

import re

from keva import forms

_FORM = re.compile(r"[A-Za-z0-9_-]{1,64}")


def number(value: str, otherwise: int = 0) -> int:
    """The seq that it is; `otherwise` for what can be none."""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else otherwise


def text(value: str) -> str:
    """As it was typed: browsers send CRLF for the end of each line."""
    return value.replace("\r\n", "\n")


def form_id(value: str) -> str:
    """The id that a form was shown with; a new one where it has none."""
    return value if _FORM.fullmatch(value) else forms.new_id()
