"""Prints what docs/performance.md quotes, all of it or some: `python -m tests.benchmarks [calls] [mixed]...`."""

import sys

from tests.benchmarks import calls, growth, inbox, inbox_cost, load, mixed, rivals, stand_in, webhooks

TABLES = {
    "calls": calls.main,
    "mixed": mixed.main,
    "growth": growth.main,
    "inbox": inbox.main,
    "inbox-cost": inbox_cost.main,
    "stand-in": stand_in.main,
    "webhooks": webhooks.main,
    "rivals": rivals.main,
}

if __name__ == "__main__":
    load.needed("wrk")
    if load.cores() < 2:
        sys.exit("Two cores are needed: one for the server, one for the load.")
    for name in sys.argv[1:] or TABLES:
        TABLES[name]()
        print()
