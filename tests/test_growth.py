"""What would cost more to refuse than to send: work on what was sent grows no faster than what was sent.

Each case is large, made to be slow, and takes a moment as long as the work on it is linear. Where it grows with the
square of the input, a case takes minutes or hours: the limit is far from both.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from keva import log, patterns, times
from keva.errors import Invalid
from keva.limits import MAX_BODY
from keva.models import ListQuery, NewTicket
from keva.testing.faults import FaultSpec, RequestMatcher
from keva.testing.journal import Headers, Request
from keva.transfer.records import TicketRecord
from keva.validation import read_object, read_query, validate_query
from tests.conftest import ROOT

LIMIT_SECONDS = 100
HEAD = 32 * 1024  # bytes: what a query, a path or a header is part of
TEXT = MAX_BODY // 16


def filled(piece, size=MAX_BODY):
    return piece * (size // len(piece))


def members(size=MAX_BODY):
    """Members of a JSON object, each of another name."""
    return ",".join(f'"{number}":1' for number in range(size // 9))


def body(text, model=NewTicket):
    return lambda: read_object(text.encode(), model)


def query(text):
    return lambda: validate_query(ListQuery, read_query(text))


def stars(pattern, path):
    request = Request("GET", path, "", Headers(), b"")
    return lambda: RequestMatcher(["/<any>"], None, pattern)(request)


CASES: dict[str, Callable[[], object]] = {
    "the last of very many names twice": body("{" + members() + f',"{MAX_BODY // 9 - 1}":1}}'),
    "very many names twice": body("{" + members(MAX_BODY // 2) + "," + members(MAX_BODY // 2) + "}"),
    "one name very often": body("{" + filled('"a":1,') + '"a":1}'),
    "lists in lists": body(filled("[")),
    "objects in objects": body(filled('{"a":')),
    "a whole number of very many digits": body('{"a":' + filled("9") + "}"),
    "a fraction of very many digits": body('{"a":0.' + filled("0") + "1}"),
    "an exponent of very many digits": body('{"a":1e' + filled("9") + "}"),
    "many numbers of many digits": body('{"a":[' + filled("9" * 4300 + ",") + "1]}"),
    "escapes": body('{"subject":"' + filled("\\u0000") + '"}'),
    "line ends before what is no JSON": body("{" + filled("\n")),
    "wrong tags": body('{"tags":[' + filled("1,", TEXT) + "1]}", TicketRecord),
    "wrong messages": body('{"messages":[' + filled("{},", TEXT) + "1]}", TicketRecord),
    "wrong headers of a fault": body('{"headers":{' + members(TEXT) + "}}", FaultSpec),
    "ampersands": query("&" * HEAD),
    "parameters": query(filled("a=1&", HEAD)),
    "percents": query("a=" + filled("%41", HEAD)),
    "a pattern of stars that nearly fits": stars("/" + "*a" * 1000 + "b*c", "/" + "a" * HEAD),
    "keys in what is logged": lambda: log.mask(filled("keva_live_")),
    "what nearly is a key": lambda: log.mask("keva" + filled("%2525")),
}
PATTERNS = [patterns.NOT_BLANK, patterns.EMAIL, times.PATTERN, "^tkt_[0-9A-Za-z_-]{1,64}$"]
PIECES = ["a", " ", "é", "0", "-", "a-", "a.", "é-é.", "a" * 63 + ".", "é" * 63 + ".", "a@a.", "tkt_"]
ENDS = ["", "\0", "@", "!"]


def matched() -> Iterator[tuple[str, Callable[[], object]]]:
    """Each pattern in both engines on texts that it nearly fits."""
    for pattern in PATTERNS:
        python, rust = re.compile(pattern), TypeAdapter(Annotated[str, Field(pattern=pattern)])
        for text in (start + filled(piece, TEXT) + end for start in ("", "a@") for piece in PIECES for end in ENDS):
            shown = f"{pattern[:40]} on {text[:9]!a}...{text[-9:]!a}"
            yield f"Python's {shown}", lambda text=text, python=python: python.search(text)
            yield f"Rust's {shown}", lambda text=text, rust=rust: rust.validate_python(text)


def run_all():
    """Tells each case before it is tried: the last that is told was too slow."""
    for name, case in [*CASES.items(), *matched()]:
        print(name, flush=True)
        refused = refusal_of(case)
        assert len(str(refused)) < 2000
        assert len(refused.details if refused else ()) <= 2000


def refusal_of(case):
    try:
        case()
    except ValidationError:
        return None
    except Invalid as refused:
        return refused


def test_the_work_on_what_was_sent_grows_no_faster_than_what_was_sent():
    with subprocess.Popen(
        [sys.executable, "-m", "tests.test_growth"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            told = process.communicate()[0] + "took too long"
    assert process.returncode == 0, told[-2000:]


if __name__ == "__main__":
    run_all()
