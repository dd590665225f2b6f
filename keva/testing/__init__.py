"""A Keva for tests, inside their own process: started in milliseconds, reset, seeded, watched, broken on purpose."""

import sys

from keva.envelopes import Envelope
from keva.errors import KevaError
from keva.files import are_faked
from keva.testing.faults import Fault
from keva.testing.journal import Request
from keva.testing.keva import Keva
from keva.testing.snapshots import Snapshot
from keva.testing.types import Message, MessageFields, Ticket, TicketFields

if are_faked():
    raise ImportError("keva.testing is imported while pyfakefs is at work: import it at the top of the test's module.")

__all__ = ["Envelope", "Fault", "Keva", "Message", "MessageFields", "Request", "Snapshot", "Ticket", "TicketFields"]


def _is_mistake(raised: object) -> bool:
    """Whether it is a test's own mistake, of which pytest shows the test's line rather than ours."""
    return isinstance(getattr(raised, "value", None), AssertionError | KeyError | KevaError | RuntimeError)


# pytest leaves out the frames of a module that has this name.
for _name in [name for name in sys.modules if name.startswith("keva.")]:
    vars(sys.modules[_name]).setdefault("__tracebackhide__", _is_mistake)
