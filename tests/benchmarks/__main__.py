"""Prints what the README quotes: `python -m tests.benchmarks [calls] [growth] [stand-in] [rivals]`."""

import sys

from tests.benchmarks import calls, growth, load, stand_in

TABLES = {"calls": calls.main, "growth": growth.main, "stand-in": stand_in.main}

if __name__ == "__main__":
    load.needed("wrk")
    if load.cores() < 2:
        sys.exit("Two cores are needed: one for the server, one for the load.")
    for name in sys.argv[1:] or TABLES:
        TABLES[name]()
        print()
