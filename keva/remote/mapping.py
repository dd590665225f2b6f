"""Which of our tickets and messages became which of another Keva's, in a file of JSON lines."""

import json
import os
from pathlib import Path
from typing import Any

from keva.errors import FileUnusable
from keva.storage.lock import FileLock


class Mapping:
    """The file at `path`, of pushes to `url`; each line is on disk before the call that follows it.

    For one process at a time. FileUnusable where it is another's, of another push, or no such file.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.newest: str | None = None  # there, before the first ticket of ours
        self.begun = False  # by an earlier run
        self.became: dict[str, str] = {}
        self.fields: dict[str, dict[str, Any]] = {}  # what was set last, by the ticket
        self.unanswered: str | None = None  # the ticket or message whose call was begun, with no answer known
        self._path = path
        self._lock = FileLock(path)
        self._file = path.open("r+b")
        try:
            if not self._lock.acquire():
                raise FileUnusable(f"{path} is used by another push: wait until that has ended.")
            self._read(url)
        except (ValueError, KeyError, TypeError) as error:
            self.close()
            raise FileUnusable(f"{path} is no mapping of a push: name another file with --map.") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def begin(self, url: str, newest: str | None) -> None:
        """Notes where the push goes, and the newest ticket that was there before."""
        self.begun, self.newest = True, newest
        self._write({"to": url, "newest": newest})

    def note_call(self, given: str) -> None:
        """Before the call that makes it there."""
        self.unanswered = given
        self._write({"sending": given})

    def note_made(self, given: str, made: str) -> None:
        self.unanswered = None
        self.became[given] = made
        self._write({"id": given, "became": made})

    def note_fields(self, ticket: str, fields: dict[str, Any]) -> None:
        self.fields[ticket] = fields
        self._write({"id": ticket, "set": fields})

    def _read(self, url: str) -> None:
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):  # cut off by a crash: what it tells was not done yet, or is looked for
                break
            whole += len(line)
            self._take(json.loads(line), url)
        self._file.truncate(whole)
        self._file.seek(whole)

    def _take(self, told: dict[str, Any], url: str) -> None:
        if not self.begun:
            self.begun, self.newest = True, told["newest"]
            if told["to"] != url:
                raise FileUnusable(f"{self._path} is of a push to {told['to']}: name another file with --map.")
        elif "sending" in told:
            self.unanswered = told["sending"]
        elif "became" in told:
            self.unanswered, self.became[told["id"]] = None, told["became"]
        else:
            self.fields[told["id"]] = told["set"]

    def _write(self, told: dict[str, Any]) -> None:
        self._file.write(json.dumps(told).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
