"""What a desk for tests starts with: the tickets of a file, read and checked as an import does."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from keva.cli.importing import read, telling
from keva.errors import FileUnusable
from keva.storage.database import Database
from keva.transfer.importing import Import
from keva.transfer.spool import Spool


@contextmanager
def stored_from(seed: Path | None, folder: Path) -> Iterator[Callable[[Database], None] | None]:
    """What stores the file's tickets; `folder` is where they wait for that. ImportRefused where any is wrong."""
    if seed is None:
        yield None
        return
    with closing(Spool(folder)) as spool, telling():
        job = Import(spool)
        try:
            with seed.open("rb") as file:
                read(job, file)
        except OSError as error:
            raise FileUnusable(f"{seed} cannot be read: {error.strerror}.") from error
        job.compare(None)
        if job.findings.count:
            raise job.findings.refusal(job.noun)
        yield lambda database: job.store(database, lambda *_: None)
