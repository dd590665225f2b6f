"""`python -m keva` is the command `keva`."""

from keva.cli import run

run()
