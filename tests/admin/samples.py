"""A status document with something of everything, and one of a site where nothing is yet."""

from typing import Any

HOSTILE = "<img src=x onerror=alert(1)>\"'&\n\u202e"


def station(identity: str = "CS-1", **more: Any) -> dict[str, Any]:
    """A station that is relayed."""
    about = {"identity": identity, "ocpp_version": "1.6", "peer": "10.0.0.7", "since": 1e9, "last_message_at": None}
    return about | more


def document(word: str = "word") -> dict[str, Any]:
    """All that a site may tell but its stations, with ``word`` wherever a peer may put one."""
    return {
        "version": "0.1.0",
        "identity": word,
        "ready": False,
        "reasons": [word],
        "uplink": {
            "url": f"ws://{word}",
            "connected": False,
            "ocpp_version": None,
            "since": None,
            "last_seen": 1e9,
            "registration": None,
            "queue": 2,
            "last_error": word,
        },
        "stations": [],
        "firmware": [
            {
                "checksum": "a" * 32,
                "name": word,
                "size": 1536,
                "state": "published",
                "published_at": 1e9,
                "uris": [f"http://{word}"],
            },
            {
                "checksum": "b" * 32,
                "name": word,
                "state": "downloading",
                "received": 512,
                "total": 2048,
                "failures": 1,
                "request_id": 1,
            },
        ],
        "transfers": [
            {
                "protocol": "ftp",
                "peer": "10.0.0.7",
                "station": word,
                "checksum": "a" * 32,
                "name": word,
                "sent": 768,
                "size": 1536,
                "started_at": 1e9,
            }
        ],
        "disk": {"free": 2**30, "size": 2**32},
        "listeners": {"publish.http": word},
        "certificates": [{"role": "publish.https", "path": word, "name": word, "expires_at": 1e9}],
        "events": [{"at": 1e9, "level": "warning", "text": word}, {"at": 1e9 + 1, "level": "info", "text": "second"}],
    }


def nothing() -> dict[str, Any]:
    """A site that has just begun."""
    empty: dict[str, Any] = {key: [] for key in ("reasons", "firmware", "transfers", "certificates", "events")}
    uplink = document()["uplink"] | {"last_seen": None, "queue": 0, "last_error": ""}
    return document() | empty | {"uplink": uplink, "listeners": {}, "disk": {"free": 0, "size": 0}, "ready": True}
