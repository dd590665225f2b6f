"""One line for each thing worth telling whoever watches the terminal, with no key and no forged line in it."""

import logging
import re

LOG = logging.getLogger("keva")

_HEX = "0123456789abcdefABCDEF"
_DIGITS = 64  # of a minted key
_PREFIXES = ("keva_live_", "signin_")
# A key as it is, unless it is masked already, the digits of a minted one alone, or the token of a sign-in link.
_KEY = re.compile(
    rf"keva_live_(?!\.\.\.\S{{0,5}}(?!\S))(\S+)|(?<![0-9a-f])([0-9a-f]{{{_DIGITS},}})|(signin_)(?!\.\.\.(?!\S))\S+",
    re.IGNORECASE,
)
# Keys shorter than this are masked entirely: four characters would give most of them away.
_LEAST_FOR_AN_END = 16


def mask(text: str) -> str:
    """`text` with each API key in it cut down to its last four characters, and no token of a sign-in link.

    A key that shows only once the text is percent-decoded, and rid of what cannot be seen, is masked there.
    """
    bare = _percent_decoded(text)
    if not bare.isprintable():
        bare = "".join(filter(str.isprintable, bare))
    lowered = bare.lower()
    if not any(prefix in lowered for prefix in _PREFIXES) and max(map(len, bare.split()), default=0) < _DIGITS:
        return text  # for most lines, at a tenth of the cost of the search
    return _KEY.sub(_end_of_key, bare if _KEY.search(bare) else text)


def readable(text: str) -> str:
    """`text` without a key, on one line: what is not printable, as are directions and what has no width, is escaped."""
    masked = mask(text)
    return masked if masked.isprintable() else "".join(map(_escape, masked))


def log_request(
    address: str, method: str, path: str, status: int, sentence: str = "", who: str = "", seconds: float | None = None
) -> None:
    """Tells of one answered request: of a refusal always, of a success when verbose; `who` sent it, if that is known.

    Both stand before the sentence, which may hold what the caller wrote, so that it can forge neither.
    """
    level = logging.WARNING if status >= 400 else logging.INFO
    took = "" if seconds is None else f"{1000 * seconds:.1f} ms"
    by = " ".join(filter(None, [who, took]))
    told = f"{by}: {sentence}" if by and sentence else by or sentence
    # A path is one word, as in the request's first line, so that a key in it ends where the path does.
    LOG.log(level, "%s %s %s %d %s", address, method, path.replace(" ", "%20"), status, told)


class Lines(logging.Formatter):
    """One record, one line; a traceback's lines are indented, so that none can be taken for a record."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")

    def format(self, record: logging.LogRecord) -> str:
        head, *traceback = super().format(record).split("\n") if record.exc_info else [super().format(record)]
        return "\n".join(map(readable, [head.rstrip(), *("    " + line for line in traceback)]))


def _percent_decoded(text: str) -> str:
    """`text` with every %XX decoded, those that come about by decoding too, in one pass."""
    if "%" not in text:
        return text
    decoded: list[str] = []
    for character in text:
        decoded.append(character)
        while len(decoded) > 2 and decoded[-3] == "%" and decoded[-2] in _HEX and decoded[-1] in _HEX:
            code = int(decoded[-2] + decoded[-1], 16)
            decoded[-3:] = [chr(code) if code != ord(" ") else "\0"]  # an encoded space ends no word
    return "".join(decoded)


def _end_of_key(key: re.Match[str]) -> str:
    if key[3]:
        return "signin_..."
    secret = key[1] or key[2] or ""
    return "keva_live_..." + (secret[-4:] if len(secret) >= _LEAST_FOR_AN_END else "")


def _escape(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
