"""The commands, for `python app.py`, `python -m keva` and `keva`."""

from keva import runtime

runtime.check()
runtime.end_quietly_on_interrupt()

from keva.cli.main import run  # noqa: E402 - an old Python could not read it

__all__ = ["run"]
