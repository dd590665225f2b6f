"""Text as the index takes it: in one form of Unicode, and in pairs where a script has no blanks between words."""

import re
import unicodedata

# Thai, Lao, Burmese, Khmer, kana, Chinese characters, Hangul.
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
    "]+"
)


def indexed(text: str) -> str:
    """The text with each run of such a script as its overlapping pairs: a part of a run is a phrase of pairs."""
    if text.isascii():
        return text
    return _UNSPACED.sub(_pairs, unicodedata.normalize("NFKC", text))


def is_word(text: str) -> bool:
    """True when there is a letter or a digit in it, which is what the index knows."""
    return any(unicodedata.category(character)[0] in "LN" for character in text)


def ends_in_pairs(text: str) -> bool:
    """True for text whose last pair is whole: as the start of a longer word it would mean the same."""
    run = re.search(_UNSPACED.pattern + "$", unicodedata.normalize("NFKC", text))
    return run is not None and len(run[0]) > 1


def _pairs(run: re.Match[str]) -> str:
    text = run[0]
    return " " + " ".join(text[start : start + 2] for start in range(max(1, len(text) - 1))) + " "
