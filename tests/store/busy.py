"""A program that keeps publications, one after the other, until it is killed, and says what it has been told is kept.

Each round is a publication's life: added, downloading, published with its file, its notifications settled, withdrawn.
Every line of its output is a step that has returned.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from localctl.store.database import Database
from localctl.store.records import State
from tests.store.samples import file_record, notification, publication


async def work(path: Path, first: int) -> None:
    """Keep until killed."""
    database = await Database.open(path)
    request_id = first
    while True:
        checksum = f"{request_id:032x}"
        kept = await database.add_publication(publication(request_id, checksum=checksum))
        _say(request_id, "added")
        begun = replace(kept, state=State.DOWNLOADING)
        told = await database.record(begun, [notification("Downloading", request_id)])
        _say(request_id, "downloading")
        published = replace(kept, state=State.PUBLISHED)
        report = notification("Published", request_id, ("http://192.0.2.1/x",))
        told += await database.record(published, [report], file_record(checksum=checksum))
        _say(request_id, "published")
        for each in told:
            await database.settle(each)
        _say(request_id, "settled")
        if request_id % 2:
            await database.withdraw(checksum)
            _say(request_id, "withdrawn")
        request_id += 1


def _say(request_id: int, step: str) -> None:
    print(request_id, step, flush=True)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
