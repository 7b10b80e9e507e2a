"""Opening a published file exactly as it was stored: a symbolic link planted in the store is not followed."""

import os
import stat
from io import FileIO

from localctl.store.catalogue import PublishedFile


def open_published(file: PublishedFile) -> FileIO:
    """The file, open for reading.

    Neither its name nor its folder's may be a link. Raises OSError where it cannot be opened, and ValueError where
    what is there is not what was published.
    """
    folder = os.open(file.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a planted FIFO cannot hold us
        descriptor = os.open(file.path.name, flags, dir_fd=folder)
    finally:
        os.close(folder)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
        os.close(descriptor)
        raise ValueError(f"is no regular file of {file.size} bytes")
    return FileIO(descriptor, "r")
