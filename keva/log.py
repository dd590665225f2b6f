"""One line for each thing worth telling whoever watches the terminal, with no key and no forged line in it."""

import logging
import re
import sys

LOG = logging.getLogger("keva")

# A key as it is, or with its underscores percent-encoded once or more, as a path or a query may hold it.
_UNDERSCORE = r"(?:_|%(?:25)*5f)"
_KEY = re.compile(rf"keva{_UNDERSCORE}live{_UNDERSCORE}(\S*)", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Keys shorter than this are masked entirely: four characters would give most of them away.
_LEAST_FOR_AN_END = 16


def mask(text: str) -> str:
    """`text` with each API key in it cut down to its last four characters."""
    return _KEY.sub(lambda key: "keva_live_..." + (key[1][-4:] if len(key[1]) >= _LEAST_FOR_AN_END else ""), text)


def log_request(address: str, method: str, path: str, status: int, sentence: str = "") -> None:
    """Tells of one answered request: of a refusal always, of a success when verbose."""
    level = logging.WARNING if status >= 400 else logging.INFO
    LOG.log(level, "%s %s %s %d %s", address, method, path, status, sentence)


def to_stderr(verbose: bool) -> None:
    """Sends this service's log, and waitress's complaints, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    for name in ("keva", "waitress"):
        logging.getLogger(name).addHandler(handler)
    LOG.setLevel(logging.INFO if verbose else logging.WARNING)
    # It warns of every request that waits for a thread, which at load costs more than the request.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class _Lines(logging.Formatter):
    """One record, one line; a traceback's lines are indented, so that none can be taken for a record."""

    def format(self, record: logging.LogRecord) -> str:
        head, *traceback = super().format(record).split("\n") if record.exc_info else [super().format(record)]
        lines = [head.rstrip(), *("    " + line for line in traceback)]
        return "\n".join(mask(_CONTROL.sub(_escape, line)) for line in lines)


def _escape(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode()
