"""A Keva for tests, inside their own process: started in milliseconds, reset, seeded, watched, broken on purpose."""

from keva.files import are_faked
from keva.testing.faults import Fault
from keva.testing.journal import Request
from keva.testing.keva import Keva

if are_faked():
    raise ImportError("keva.testing is imported while pyfakefs is at work: import it at the top of the test's module.")

__all__ = ["Fault", "Keva", "Request"]
