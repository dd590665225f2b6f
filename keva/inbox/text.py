"""Text of people as HTML: nothing in it is markup, and addresses in it can be clicked."""

import re

from markupsafe import Markup, escape

_ADDRESS = re.compile(r"https?://[^\s<>\"'`\u2028\u2029]+", re.IGNORECASE)
_ENDS = ".,:;!?)]}*_~\u2019\u201d\u3002\uff0c\uff09"  # what a sentence adds to an address
_PAIRS = {")": "(", "]": "[", "}": "{"}


def linked(text: str) -> Markup:
    """The text with its web addresses as links, which show where they go."""
    parts, at = [], 0
    for found in _ADDRESS.finditer(text):
        address = _without_the_sentences_end(found[0])
        parts += [escape(text[at : found.start()]), _link(address)]
        at = found.start() + len(address)
    return Markup("").join([*parts, escape(text[at:])])


def _link(address: str) -> Markup:
    return Markup('<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>').format(address)


def _without_the_sentences_end(address: str) -> str:
    """A bracket stays that was opened inside the address."""
    while address[-1] in _ENDS and address[-1] != _closed_inside(address):
        address = address[:-1]
    return address


def _closed_inside(address: str) -> str:
    last = address[-1]
    return last if last in _PAIRS and address.count(_PAIRS[last]) >= address.count(last) else ""
