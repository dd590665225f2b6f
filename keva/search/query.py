"""What somebody typed into the search, read as words and filters: any text is a search."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import get_args

from keva.models import Priority, Status
from keva.search import words
from keva.times import timestamp

NOBODY = "nobody"  # as the value of assigned:
MOST_TERMS = 32  # the rest of a longer text is left out
_TERM = re.compile(r'(?:(?P<name>[a-z]+):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))', re.IGNORECASE)
_DAY = re.compile(r"(\d{4})(?:-(\d\d?))?(?:-(\d\d?))?")
_WHOLE_EMAIL = re.compile(r"@.+\.\w{2,}$")  # every other one ends so: as the start of a word it takes longest
_TEXT = "{subject people body}"  # the columns that people wrote
_CLOSED_SETS = {"status": get_args(Status), "priority": get_args(Priority)}


@dataclass
class Query:
    """`match` is what the words mean to FTS5, None where there are none; the rest are filters, empty for none."""

    match: str | None = None
    status: set[str] = field(default_factory=set)
    priority: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    before: str | None = None
    after: str | None = None

    @property
    def is_empty(self) -> bool:
        filters = self.status or self.priority or self.assigned or self.tags or self.before or self.after
        return self.match is None and not filters


@dataclass(frozen=True)
class _Term:
    name: str
    value: str
    quoted: bool

    @property
    def whole(self) -> str:
        """The term as a mere word."""
        return f"{self.name}:{self.value}" if self.name else self.value


def parse(text: str) -> Query:
    """The query that `text` stands for; what names no filter, or no value of it, is a word."""
    query = Query()
    given = [_term(found) for found in _TERM.finditer(text.replace("\0", " "))][:MOST_TERMS]
    rest = [term for term in given if not (term.name and _filters(query, term))]
    wanted = [term for term in rest if words.is_word(term.value)]
    parts = [_phrase(term, last=term is wanted[-1]) for term in wanted]
    query.match = " ".join(dict.fromkeys(parts)) or None
    return query


def _term(found: re.Match[str]) -> _Term:
    quoted = found["word"] is None
    return _Term((found["name"] or "").lower(), found["phrase"] if quoted else found["word"], quoted)


def _filters(query: Query, term: _Term) -> bool:
    """Adds the filter that the term is, if it is one."""
    value = term.value.casefold()
    if value in _CLOSED_SETS.get(term.name, ()):
        getattr(query, term.name).add(value)
    elif term.name == "assigned" and value:
        query.assigned.add(value)
    elif term.name == "tag" and value:
        query.tags.add(value)
    elif term.name in ("before", "after") and (moment := _start(value)):
        known = getattr(query, term.name)
        setattr(query, term.name, moment if known is None else (min, max)[term.name == "after"](known, moment))
    else:
        return False
    return True


def _start(day: str) -> str | None:
    """The first moment of a day, a month or a year; None for what is none."""
    found = _DAY.fullmatch(day)
    if not found:
        return None
    year, month, day_of_month = (int(part or 1) for part in found.groups())
    try:
        start = datetime(year, month, 1, tzinfo=UTC) + timedelta(days=day_of_month - 1)
    except (ValueError, OverflowError):
        return None
    return timestamp(start.timestamp()) if start.month == month else None


def _phrase(term: _Term, last: bool) -> str:
    """The term for FTS5: in quotes, so that nothing in it is syntax; the last word of all is the start of one."""
    people = term.name == "from"
    said = words.indexed(term.value if people else term.whole).replace('"', '""')
    start = last and not (term.quoted or words.ends_in_pairs(term.value) or _WHOLE_EMAIL.search(term.value))
    return ("{people}" if people else _TEXT) + f' : "{said}"' + (" *" if start else "")
