"""The workspaces of a desk."""

from typing import Any

from keva.tx import Read, Write


def create(tx: Write, name: str) -> dict[str, Any]:
    return _workspace(
        tx.add(
            "ws",
            """
            INSERT INTO workspaces (id, name, created_at) VALUES (:id, :name, :now)
            ON CONFLICT (id) DO NOTHING
            RETURNING id, name, created_at
            """,
            {"name": name, "now": tx.now},
        )
    )


def list_all(tx: Read) -> list[dict[str, Any]]:
    """Every workspace, oldest first."""
    return [_workspace(row) for row in tx.all("SELECT id, name, created_at FROM workspaces ORDER BY seq")]


def _workspace(row: tuple[str, str, str]) -> dict[str, Any]:
    return dict(zip(("id", "name", "created_at"), row, strict=True))
