"""The patterns of text: in the common ground of ECMA 262 (JSON Schema's), Rust's regex (pydantic's) and Python's."""

# Each has one way alone to match a text: an engine that tries all ways takes no longer for a long one.

_WHITE_SPACE = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # Unicode 16
NOT_BLANK = rf"^[{_WHITE_SPACE}]*[^\u0000{_WHITE_SPACE}][^\u0000]*$"

# An email address as the HTML standard has it ("valid email address", which <input type=email> checks), and beyond
# ASCII as RFC 6531 does: letters, marks and numbers. These are none, by blocks: controls, white space, punctuation,
# symbols, what is invisible or changes the direction of what follows, private use. Beyond U+FFFF all is taken, since no
# way to write those characters is common to the three.
_NO_LETTERS = (
    r"\u0080-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u034f\u037e\u0600-\u060f\u061b-\u061f\u115f\u1160"
    r"\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u2bff\u2e00-\u2e7f\u2ff0-\u3004\u3008-\u3020\u3030\u303d-\u3040\u3164"
    r"\u3200-\u33ff\u4dc0-\u4dff\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe1f\ufe30-\ufe6f\ufeff-\uff0f\uff1a-\uff20"
    r"\uff3b-\uff40\uff5b-\uff65\uffa0\uffe0-\uffff"
)
_ATOM = rf"[^\u0000-\u0020\u0022\u0028\u0029\u002c\u003a-\u003c\u003e\u0040\u005b-\u005d\u007f{_NO_LETTERS}]"
_LETTER = rf"[^\u0000-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f{_NO_LETTERS}]"  # or a digit
_LETTER_OR_DASH = rf"[^\u0000-\u002c\u002e\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f{_NO_LETTERS}]"
_LABEL = rf"{_LETTER}(?:{_LETTER_OR_DASH}{{0,61}}{_LETTER})?"
EMAIL = rf"^{_ATOM}+@{_LABEL}(?:\.{_LABEL})*$"

PLAIN_NAME = "^[0-9A-Za-z_-]{1,64}$"
