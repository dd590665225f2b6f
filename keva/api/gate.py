"""The gate of the API: who is calling, within the limit, with the scope, in which workspace."""

from collections.abc import Callable
from typing import Any

from flask import g

from keva.api.rate_limit import RateLimit
from keva.errors import Invalid, NoKey
from keva.identity import EVERYTHING, KEY_PREFIX, Caller, Keyring
from keva.storage.transaction import Reader

_INVALID_KEY = "Invalid API key"
_SEND_KEY = "send the header 'Authorization: Bearer keva_live_...'"
_OTHER_HEADERS = {"HTTP_X_API_KEY": "X-API-Key", "HTTP_API_KEY": "Api-Key", "HTTP_X_AUTH_TOKEN": "X-Auth-Token"}
_KEY_PARAMETERS = ("api_key", "apikey", "key", "token", "access_token")
_LONGEST_SCHEME = 12  # characters
_QUOTES = "\"'<>`"


class Gate:
    """Lets a caller in, in the contract's order: key, limit, scope, workspace."""

    def __init__(self, clock: Callable[[], float], keyring: Keyring, limit: RateLimit | None) -> None:
        self._clock, self._keyring, self._limit = clock, keyring, limit

    def authorize(
        self, reader: Reader, environ: dict[str, Any], scope: str, parameters: list[tuple[str, str]]
    ) -> Caller:
        """The caller of the request; NoKey, TooMany, Forbidden, Invalid or NotFound."""
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        if refusal := _no_key(authorization, environ, parameters):
            raise refusal
        g.caller = caller = self._keyring.authenticate(reader, authorization, self._clock)
        if self._limit and scope != EVERYTHING:
            g.limit, too_many = self._limit.count(caller.key)
            if too_many:
                raise too_many
        caller.needs(scope)
        workspace = _picked_workspace(environ.get("HTTP_X_WORKSPACE_ID"), parameters)
        return caller.within(reader, workspace) if workspace else caller


def _no_key(authorization: str, environ: dict[str, Any], parameters: list[tuple[str, str]]) -> NoKey | None:
    """What to tell a caller whose header cannot hold a key; None for one that may."""
    scheme, _, key = authorization.partition(" ")
    key = key.lstrip(" ")
    if not authorization:
        told = _sent_elsewhere(environ, parameters) or "No API key"
    elif scheme.startswith(KEY_PREFIX):
        told = "The API key comes without the word Bearer before it"
    elif scheme.lower() != "bearer":
        # What is no scheme by its looks may be somebody's secret, which is not shown.
        shown = f" but with {scheme}" if key and scheme.isalpha() and len(scheme) <= _LONGEST_SCHEME else ""
        told = f"No API key, since the Authorization header does not begin with Bearer and a blank{shown}"
    elif not key:
        told = "No API key after the word Bearer, as when the variable that should hold it is empty"
    else:
        # The answer to a wrong key is documented: why it is wrong is for the log.
        why = _why_wrong(key)
        return NoKey(_INVALID_KEY, f" ({why})") if why else None
    return NoKey(f"{told}: {_SEND_KEY}.")


def _why_wrong(key: str) -> str | None:
    if key.lower().startswith("bearer "):
        return "the word Bearer stands twice before it: leave one"
    if ", bearer " in key.lower():
        return "two Authorization headers came: send one"
    if key[0] in _QUOTES and key.strip(_QUOTES).startswith(KEY_PREFIX):
        return "it stands in quotes or brackets: leave them out"
    return None


def _sent_elsewhere(environ: dict[str, Any], parameters: list[tuple[str, str]]) -> str | None:
    for name, shown in _OTHER_HEADERS.items():
        if name in environ:
            return f"No API key in the header Authorization, though one in {shown}"
    if any(name.lower() in _KEY_PARAMETERS or value.startswith(KEY_PREFIX) for name, value in parameters):
        return "No API key in the header Authorization, though one in the query, which logs keep"
    return None


def _picked_workspace(header: str | None, parameters: list[tuple[str, str]]) -> str | None:
    """The workspace that the header or the query names; Invalid when they name two."""
    # An empty or repeated parameter is refused with the other parameters.
    picked = {value for name, value in parameters if name == "workspace_id" and value}
    if header == "":
        raise Invalid("X-Workspace-Id is empty: leave it out or give a workspace.")
    if header is not None:
        picked.add(header)
    if len(picked) > 1:
        raise Invalid("Two workspaces are named: send one, as workspace_id or as X-Workspace-Id.")
    return picked.pop() if picked else None
