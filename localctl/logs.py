"""Logs to stderr, as text or as one JSON object a line. Nothing of a secret passes, whoever logs it."""

import json
import logging
import re
import sys
import time
from typing import Final, TextIO

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
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
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
