"""A Keva for tests, inside their own process: started in milliseconds, reset, seeded, watched, broken on purpose."""

from keva.testing.faults import Fault
from keva.testing.journal import Request
from keva.testing.keva import Keva

__all__ = ["Fault", "Keva", "Request"]
