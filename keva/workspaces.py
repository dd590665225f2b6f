"""The workspaces of a desk."""

from typing import Any

from keva.storage.transaction import Reader, Transaction


def create(tx: Transaction, name: str) -> dict[str, Any]:
    return _workspace(
        tx.insert(
            "ws",
            """
            INSERT INTO workspaces (id, name, created_at) VALUES (:id, :name, :now)
            ON CONFLICT (id) DO NOTHING
            RETURNING id, name, created_at
            """,
            {"name": name, "now": tx.now},
        )
    )


def list_all(reader: Reader) -> list[dict[str, Any]]:
    """Every workspace, oldest first."""
    return [_workspace(row) for row in reader.all("SELECT id, name, created_at FROM workspaces ORDER BY seq")]


def _workspace(row: tuple[str, str, str]) -> dict[str, Any]:
    return dict(zip(("id", "name", "created_at"), row, strict=True))
