import errno

import pytest

from localctl.starvation import Starvation


def test_only_a_want_of_resources_is_starvation(caplog: pytest.LogCaptureFixture) -> None:
    """No descriptors, no buffers, no memory; nothing else is taken for it, or logged as it."""
    starvation = Starvation(lambda: 0.0)
    assert all(starvation.is_behind(OSError(number, ""), "it") for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM))
    caplog.clear()
    others = (OSError(errno.ECONNABORTED, ""), ValueError(), None)
    assert not any(starvation.is_behind(fault, "it") for fault in others)
    assert caplog.records == []


def test_it_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A listener that starves for an hour writes sixty lines, each with what to do about it."""
    now = 0.0
    starvation = Starvation(lambda: now)
    for second in range(3600):
        now = float(second)
        starvation.is_behind(OSError(errno.EMFILE, "Too many open files"), "publish.http.listen")
    assert len(caplog.records) == 60
    assert {record.getMessage() for record in caplog.records} == {
        "publish.http.listen takes no connection for want of resources: Too many open files; raise LimitNOFILE"
    }
