"""The style sheet and the scripts, under names with their digest, so that a browser may keep them for good."""

import hashlib
from pathlib import Path

from flask import Response, abort, request

from keva.inbox.access import public

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOR_GOOD = "public, max-age=31536000, immutable"


def _load() -> dict[str, tuple[str, bytes, str]]:
    """By the file's name: the name that is served, its content, its type."""
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[path.name] = (f"{path.stem}-{digest}{path.suffix}", content, _TYPES[path.suffix])
    return found


class Assets:
    """All files of the folder, read once."""

    def __init__(self) -> None:
        loaded = _load()
        self._names = {name: served for name, (served, _, _) in loaded.items()}
        self._served = {served: (content, kind) for served, content, kind in loaded.values()}

    def url(self, name: str) -> str:
        """The address of a file by its plain name, for the templates."""
        return f"{request.script_root}/inbox/static/{self._names[name]}"

    @public
    def serve(self, name: str) -> Response:
        """GET /inbox/static/NAME"""
        if name not in self._served:
            abort(404)
        content, kind = self._served[name]
        return Response(content, content_type=kind, headers={"Cache-Control": _FOR_GOOD})
