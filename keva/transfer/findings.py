"""What is wrong with the lines of a file: the first ones whole, and all the others counted by kind."""

import re
from collections import Counter

from keva.errors import Invalid, KevaError

TOLD = 50  # lines
_MOST_KINDS = 100
_OTHER = "something else"
_NO_OBJECT = "not a JSON object of a ticket"
_INDEX = re.compile(r"\.[0-9]+\b")


class ImportRefused(KevaError):
    """Nothing was stored; `lines` say why."""

    def __init__(self, sentence: str, lines: list[str]) -> None:
        super().__init__(sentence)
        self.lines = lines


class Findings:
    """Of one file; `number` counts its lines or, where it is an array, its tickets."""

    def __init__(self) -> None:
        self.count = 0  # of lines that are wrong
        self._told: list[tuple[int, str]] = []
        self._kinds: Counter[str] = Counter()  # of those that are not told

    def add(self, number: int, error: Invalid) -> None:
        """Notes what is wrong with one line."""
        details = [(detail["field"], detail["message"]) for detail in error.details]
        if len(self._told) < TOLD:
            sentence = "; ".join(f"{field} {message}".strip() for field, message in details)
            self._told.append((number, sentence + "." if sentence else error.sentence))
        else:
            self._kinds.update({self._known(kind) for kind in map(_kind, details)} or [_NO_OBJECT])
        self.count += 1

    def lines(self, noun: str) -> list[str]:
        """All there is to tell; `noun` is what the numbers count."""
        told = [f"{noun} {number}: {sentence}" for number, sentence in sorted(self._told)]
        if more := self.count - len(self._told):
            told.append(f"And {more:,} more:")
            told += [f"  {times:,} times: {kind}" for kind, times in self._kinds.most_common()]
        return told

    def refusal(self, noun: str) -> ImportRefused:
        what = f"1 {noun.lower()} is" if self.count == 1 else f"{self.count:,} {noun.lower()}s are"
        return ImportRefused(f"{what} wrong. Nothing was imported.", self.lines(noun))

    def _known(self, kind: str) -> str:
        return kind if kind in self._kinds or len(self._kinds) < _MOST_KINDS else _OTHER


def _kind(detail: tuple[str, str]) -> str:
    """What is wrong, whichever message it is in, and whichever id it has."""
    field, message = detail
    return f"{_INDEX.sub('', field)} {_ID.sub('', message)}".strip()


_ID = re.compile(r"^(?:tkt|msg)_[0-9A-Za-z_-]+ ")
