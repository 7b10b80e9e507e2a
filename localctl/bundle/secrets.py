"""What is secret in a configuration, and taking it out of any text. Rules: no I/O.

Two nets: what the configuration says is secret is taken out wherever it stands, in each way in which it may be
written; and what looks like a credential is taken out too, whoever's it is.
"""

import base64
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

from localctl.logs import redact

REMOVED: Final = "(removed)"
_LEAST: Final = 4  # characters: less stands in every text
_WORD: Final = r"(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key)[\w-]{0,64}"
_SECRET: Final = rf"[\w.-]*{_WORD}"
_NAME: Final = re.compile(_SECRET, re.IGNORECASE)
_LINE: Final = re.compile(rf"^[ \t]*#?[ \t]*[\"']?({_SECRET})[\"']?[ \t]*=[ \t]*(.+)$", re.IGNORECASE | re.MULTILINE)
_SAID: Final = re.compile(
    rf"(?P<name>{_WORD})(?P<sign>[\"']?\s*[:=]\s*)(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&]+)", re.IGNORECASE
)
_USER: Final = re.compile(r"(?<=://)[^\s\"'<>]{0,512}@")  # bounded: a line that is all slashes must not take an hour
_PASSWORD: Final = re.compile(r"://([^\s:/@\"']*):([^\s\"'<>]*)@")
_QUERY: Final = re.compile(r"(\w://[^\s\"'<>?#]{0,2048})[?#][^\s\"'<>]*")
_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL)


class Redactor:
    """Takes secrets out of texts. ``secrets`` are what is known to be one, ``user`` goes with each of them."""

    def __init__(self, secrets: Iterable[str], user: str = "") -> None:
        forms = {form for secret in secrets if len(secret) >= _LEAST for form in _forms(secret, user)}
        self._known = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
        self._empty = not forms

    def text(self, text: str) -> str:
        """The text without secrets."""
        if not self._empty:
            text = self._known.sub(REMOVED, text)
        text = _QUERY.sub(r"\1?…", _USER.sub("…@", _KEY.sub("(a private key, removed)", text)))
        return redact(_SAID.sub(_unsaid, text))

    def document(self, value: Any) -> Any:
        """JSON without secrets, in its keys neither."""
        if isinstance(value, dict):
            return {self.text(str(key)): self.document(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.document(item) for item in value]
        return self.text(value) if isinstance(value, str) else value


def is_secret(key: str) -> bool:
    """Whether a key of that name holds a secret itself, rather than the path of one."""
    return _NAME.fullmatch(key) is not None and not key.lower().endswith("_file")


def is_path(value: str) -> bool:
    """Whether what should name a file does, and is no password that was written in its place."""
    return "/" in value or value.startswith("credential:")


def stated(text: str) -> Iterator[str]:
    """Every secret that a configuration states itself, also one that cannot be parsed, and in its comments."""
    for name, value in _LINE.findall(text):
        bare = value.strip()
        quoted = re.match(r"\"([^\"]*)\"|'([^']*)'", bare)
        secret = (quoted[1] or quoted[2] or "") if quoted else bare.strip("\"'")
        if is_secret(name) or not is_path(secret):
            yield secret
    for user, password in _PASSWORD.findall(text):
        yield from (password, f"{user}:{password}")
    try:
        yield from _within(tomllib.loads(text))
    except (ValueError, RecursionError):
        return


def files(text: str) -> Iterator[str]:
    """The files, or credentials of systemd, that a configuration says hold a secret."""
    for name, value in _LINE.findall(text):
        reference = value.strip().partition("#")[0].strip().strip("\"'")
        if not is_secret(name) and is_path(reference):
            yield reference


def _within(tree: Mapping[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _within(value)
        elif isinstance(value, str) and is_secret(key):
            yield value


def _forms(secret: str, user: str) -> Iterator[str]:
    """As it is, in JSON and TOML, in a URL, in hex, and in an Authorization header."""
    yield from (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    content = secret.encode(errors="surrogateescape")
    yield from (content.hex(), content.hex().upper(), base64.b64encode(content).decode().rstrip("="))
    yield base64.b64encode(f"{user}:".encode() + content).decode().rstrip("=")


def _unsaid(found: re.Match[str]) -> str:
    if found["name"].lower().endswith("_file"):
        return found[0]
    quote_of = found["value"][0] if found["value"][0] in "\"'" else ""
    return f"{found['name']}{found['sign']}{quote_of}{REMOVED}{quote_of}"
