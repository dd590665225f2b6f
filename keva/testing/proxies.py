"""How a process finds a desk, and whether its clients ask a proxy instead, so that the desk never hears of them."""

import os
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

_VARIABLES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


def environ_for(url: str, key: str) -> dict[str, str]:
    """The environment variables by which a process finds a desk; NO_PROXY goes on from what it is here."""
    host = urlsplit(url).hostname or ""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    no_proxy = f"{known},{host}" if known else host
    return {"KEVA_BASE_URL": url, "KEVA_API_KEY": key, "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def hint_at_proxy(host: str) -> str:
    """The rest of a sentence that says that no call came, where a proxy may be why; else nothing."""
    named = next((name for name in _VARIABLES if os.environ.get(name)), None)
    if named is None or proxy_bypass(host):
        return ""
    return f"; {named} is set, so that calls may have gone to that proxy: add {host} to NO_PROXY (see keva.environ)"
