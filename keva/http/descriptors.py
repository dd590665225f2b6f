"""How many connections the process's limit of open files has room for."""

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

CONNECTIONS = 1000
_OTHERS = 200  # beside those of the connections: the database's, for each thread, and the application's


def places() -> int:
    """Raises the limit as far as needed and allowed; what is left of a low one is halved with the database."""
    if resource is None:
        return CONNECTIONS
    wanted = CONNECTIONS + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(CONNECTIONS, soft - min(_OTHERS, soft // 2))
