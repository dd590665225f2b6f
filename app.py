"""The door: `python app.py` serves, `python app.py --help` shows the other commands."""

from keva.cli import run

if __name__ == "__main__":
    run()
