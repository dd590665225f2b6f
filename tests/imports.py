"""Imports bytes in the process of the test."""

import io
from contextlib import closing

from keva.transfer.importing import Import
from keva.transfer.spool import Spool


def imported(database, sent, stored=lambda *_: None, **options):
    """Imports bytes, and gives the job; ImportRefused where they cannot be."""
    with closing(Spool(database.path.parent)) as spool:
        job = Import(spool, **options)
        job.read(io.BytesIO(sent), lambda _: None)
        if job.findings.count:
            raise job.findings.refusal(job.noun)
        job.store(database, stored)
        return job
