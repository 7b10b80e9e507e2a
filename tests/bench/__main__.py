"""Every table: ``python -m tests.bench``. It takes a quarter of an hour; see README.md beside it."""

import asyncio

from tests.bench import download, serve

if __name__ == "__main__":
    asyncio.run(serve.run(7, 3, serve.PROTOCOLS))
    asyncio.run(download.run(7))
