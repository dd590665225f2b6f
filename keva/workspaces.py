"""The workspaces of a desk."""

from typing import Any

from keva.tx import Read, Write


def create(tx: Write, name: str) -> dict[str, Any]:
    [row] = tx.all(
        "INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?) RETURNING id, name, created_at",
        (tx.mint("ws"), name, tx.now),
    )
    return _workspace(row)


def list_all(tx: Read) -> list[dict[str, Any]]:
    """Every workspace, oldest first."""
    return [_workspace(row) for row in tx.all("SELECT id, name, created_at FROM workspaces ORDER BY seq")]


def _workspace(row: tuple[str, str, str]) -> dict[str, Any]:
    return dict(zip(("id", "name", "created_at"), row, strict=True))
