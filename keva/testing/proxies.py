"""Whether the clients of a test ask a proxy instead of the desk, which then never hears of their calls."""

import os
from urllib.request import proxy_bypass

_VARIABLES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


def hint_at_proxy(host: str) -> str:
    """The rest of a sentence that says that no call came, where a proxy may be why; else nothing."""
    named = next((name for name in _VARIABLES if os.environ.get(name)), None)
    if named is None or proxy_bypass(host):
        return ""
    return f"; {named} is set, so that calls may have gone to that proxy: add {host} to NO_PROXY (see keva.environ)"
