"""The commands, for `python app.py` and `keva`."""

from keva.cli.main import run

__all__ = ["run"]
