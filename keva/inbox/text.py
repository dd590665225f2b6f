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
    """A closing bracket stays where it was opened inside the address."""
    surplus = {closing: address.count(closing) - address.count(opening) for closing, opening in _PAIRS.items()}
    end = len(address)
    while address[end - 1] in _ENDS and surplus.get(address[end - 1], 1) > 0:
        if address[end - 1] in surplus:
            surplus[address[end - 1]] -= 1
        end -= 1
    return address[:end]
