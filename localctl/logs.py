"""Logs to stderr, as text or as one JSON object a line, and the last of them to whoever asks for the status.

Nothing of a secret passes, whoever logs it.
"""

import json
import logging
import re
import sys
import time
from collections import deque
from typing import Any, Final, TextIO

KEPT: Final = 50  # records that the status tells
_LONGEST: Final = 500  # characters of one of them
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s\"'<>]+@")
_AUTHORIZATION: Final = re.compile(r"(?i)(\b(?:basic|bearer)\s+)[A-Za-z0-9+/._~-]{8,}=*")


def redact(text: str) -> str:
    """The text without the user part of URLs and without credentials of headers."""
    return _AUTHORIZATION.sub(r"\1…", _USER_INFO.sub("…@", text))


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00Z INFO localctl.mirror: …``."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        """One record, with its traceback where it has one."""
        return redact(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """The record's line: a message of a peer's words stays one line."""
        record.message = _line(record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One object a line: time (Unix seconds), level, logger, message and, where there is one, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        fields = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            fields["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(fields)


class Recent(logging.Handler):
    """Keeps the last KEPT of what localctl says at INFO and above, without tracebacks. Any thread may log and ask."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.addFilter(logging.Filter("localctl"))
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)  # the JSON boundary

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one; logging holds this handler's lock."""
        text = redact(_line(record.getMessage()))[:_LONGEST]
        self._kept.append({"at": round(record.created, 3), "level": record.levelname.lower(), "text": text})

    def events(self) -> list[dict[str, Any]]:
        """``at`` (Unix seconds), ``level`` and ``text`` of each, the newest last."""
        self.acquire()
        try:
            return list(self._kept)
        finally:
            self.release()


def _line(message: str) -> str:
    return message.replace("\r", "\\r").replace("\n", "\\n")


def start_logging(level: str, style: str, *handlers: logging.Handler, stream: TextIO = sys.stderr) -> None:
    """Log what localctl says from ``level`` on, and what its libraries say from warning on."""
    writer = _Writer(stream)
    root = logging.getLogger()
    root.handlers[:] = [writer, *handlers]
    root.setLevel(logging.WARNING)
    set_logging(level, style)


def set_logging(level: str, style: str) -> None:
    """From now on log from that level on and in that style, once ``start_logging`` has been called."""
    for writer in logging.getLogger().handlers:
        if isinstance(writer, _Writer):
            writer.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.getLogger("localctl").setLevel(level.upper())


class _Writer(logging.StreamHandler[TextIO]):
    """The one that writes the log."""
