"""The time for deadlines, which nothing that a suite does to the clock reaches."""

from functools import partial
from time import monotonic

# A partial, because a suite that uses freezegun replaces `monotonic` itself in every module that holds it.
now = partial(monotonic)
