"""The order in which rows are made: a seq is never given twice, not even that of a row that was erased."""


def following(table: str) -> str:
    """The SQL of the seq that the next row of that table gets: there is one writer at a time."""
    return f"(SELECT 1 + max(ifnull((SELECT max(seq) FROM {table}), 0), {table}) FROM erased)"
