"""How many connections the process's limit of open files has room for."""

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

CONNECTIONS = 1000
_OTHERS = 200  # beside those of the connections: the database's, for each thread, and the application's
_CONNECTIONS_MORE, _OTHERS_MORE = 100, 30


def places() -> int:
    """Raises the limit as far as needed and allowed; what is left of a low one is halved with the database."""
    if resource is None:
        return CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    if soft < CONNECTIONS + _OTHERS:
        soft = _raise_limit(CONNECTIONS + _OTHERS)
    return min(CONNECTIONS, soft - min(_OTHERS, soft // 2))


def more_places() -> int:
    """The same for one more application in this process; where the limit is reached, connections may have to wait."""
    if resource is not None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            _raise_limit(soft + _CONNECTIONS_MORE + _OTHERS_MORE)
    return _CONNECTIONS_MORE


def _raise_limit(wanted: int) -> int:
    """As far as allowed; gives what it is then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
