"""What comes after signing in: the page that was wanted, or the form that was sent when the session was over."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from flask import Request

HOME = "/inbox"

# Nothing that a browser reads as another site's address, as a way out of the inbox, or as more than a header's line.
_PAGE = re.compile(r"/inbox(?:/\w[\w.-]*)*(?:\?[\x21-\x5b\x5d-\x7e]*)?", re.ASCII)
_SIGN_IN = re.compile(r"/inbox/sign-(?:in|out)")
_NOT_CARRIED = re.compile("password", re.IGNORECASE)


def is_page(path: str) -> bool:
    """Whether it is the address of a page of the inbox, with its query or without."""
    return _PAGE.fullmatch(path) is not None


@dataclass(frozen=True)
class After:
    """`path` is a page of the inbox or, with a `form`, what that is sent to; `form` is as a browser encodes it."""

    path: str = HOME
    form: str | None = None
    email: str = ""  # typed already

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "After":
        """As a form or a query of the sign-in page has it; the way home where it names no page of the inbox."""
        path = fields.get("next", "")
        if not is_page(path) or _SIGN_IN.match(path):
            return cls(email=fields.get("email", ""))
        return cls(path, fields.get("carried"), fields.get("email", ""))

    @classmethod
    def sending(cls, request: Request) -> "After":
        """The form of this request, unless it holds a password, which is typed again."""
        fields = list(request.form.items(multi=True))
        if any(_NOT_CARRIED.search(name) for name, _ in fields):
            return cls()
        return cls(quote(request.path), urlencode(fields))

    @property
    def fields(self) -> list[tuple[str, str]]:
        return parse_qsl(self.form or "", keep_blank_values=True)
