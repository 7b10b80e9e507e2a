"""The status document as the sections of the page."""

from html.parser import HTMLParser

import pytest

from localctl.admin.fragments import HTML, MOST_TRANSFERS
from tests.admin.samples import HOSTILE, document, nothing, station

NOW = 1e9 - 86400 * 12.5
VOID = {"img", "br", "input", "link", "meta"}


class Page(HTMLParser):
    """Whose tags close in order, and what of it is read; no attribute but those that we write."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in VOID
        assert {name for name, _ in attrs} <= {
            "class", "datetime", "id", "scope", "data-label", "aria-label", "value", "max",
        }  # fmt: skip
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def made(status: dict[str, object], *stations: dict[str, object], now: float = NOW) -> dict[str, str]:
    """Every section of it."""
    return {**HTML.parts(status, now), "stations": HTML.table([HTML.row(each) for each in stations])}


def test_hostile_words_stay_words() -> None:
    """Identities, names and log lines of a peer are shown as they are, and become no element and no attribute."""
    sections = made(document(HOSTILE), station(HOSTILE, ocpp_version=HOSTILE, peer=HOSTILE))
    for name, markup in sections.items():
        page = Page(markup)
        if name not in {"version", "disk"}:
            assert "<img src=x onerror=alert(1)>\"'&" in page.words, name


def test_everything_is_told() -> None:
    """What the document says stands in the section that it belongs to."""
    words = {name: Page(markup).words for name, markup in made(document(), station()).items()}
    assert words["title"] == "Not ready: word · localctl"
    assert words["state"].startswith("word" + "Not ready localctl 0.1.0")
    assert "Not connected" in words["uplink"]
    assert "2 notifications" in words["uplink"]
    assert "75 % in use" in words["disk"]
    assert "Downloading" in words["firmware"]
    assert "25 % · 512 B of 2.0 KiB" in words["firmware"]
    assert "1 failed try so far" in words["firmware"]
    assert "http://word" in words["firmware"]
    assert "FTP" in words["transfers"]
    assert "50 % · 768 B of 1.5 KiB" in words["transfers"]
    assert "CS-1" in words["stations"]
    assert "none yet" in words["stations"]
    assert words["events"].index("second") < words["events"].index("word")  # the newest first


def test_a_site_where_nothing_is_yet() -> None:
    """Each section says that there is nothing."""
    words = {name: Page(markup).words for name, markup in made(nothing()).items()}
    assert "No station is connected" in words["stations"]
    assert "No station downloads" in words["transfers"]
    assert "Nothing is published" in words["firmware"]
    assert "No certificate" in words["certificates"]
    assert "not been looked at yet" in words["disk"]
    assert "Ready" in words["state"]
    assert "never" in words["uplink"]


def test_a_link_that_stands() -> None:
    """Connected and accepted is well; connected alone is not all."""
    up = {"connected": True, "ocpp_version": "2.1", "since": 1e9, "registration": "Accepted", "last_error": "old"}
    status = document() | {"uplink": document()["uplink"] | up}
    assert '<span class="badge good">Connected</span>' in made(status)["uplink"]
    assert "old" not in made(status)["uplink"]
    status["uplink"]["registration"] = "Pending"
    assert '<span class="badge warn">Connected</span>' in made(status)["uplink"]


@pytest.mark.parametrize(
    ("days", "mark"),
    [(-0.1, "Expired"), (0.5, "Ends today"), (12.5, "12 days left"), (29.9, "29 days left"), (31, "Valid")],
)
def test_how_long_a_certificate_lasts(days: float, mark: str) -> None:
    """In words, and a warning for a month before its end, as localctl check warns."""
    assert mark in made(document(), now=1e9 - 86400 * days)["certificates"]
    unreadable = document() | {"certificates": [document()["certificates"][0] | {"expires_at": None}]}
    assert "End unknown" in made(unreadable)["certificates"]


def test_a_thousand_stations() -> None:
    """Each has its row, folded away."""
    table = made(document(), *(station(f"CS-{number:04}") for number in range(1000)))["stations"]
    assert '<details id="all-stations"><summary>' in table
    assert Page(table).words.count("CS-") == table.count("<tr><th") - 1 == 1000


def test_many_transfers() -> None:
    """The oldest are shown, and how many there are besides; making all of them every second would take too long."""
    many = document() | {"transfers": document()["transfers"] * (MOST_TRANSFERS + 7)}
    words = Page(made(many)["transfers"]).words
    assert words.startswith(f"Downloads by stations {MOST_TRANSFERS + 7}")
    assert words.count("50 % ·") == MOST_TRANSFERS
    assert words.endswith("and 7 more, which began later")


def test_an_event_a_section() -> None:
    """The page is told each section under its id, as one event."""
    assert HTML.message({"disk": "<p>", "state": "a"}, False) == (
        b"event: disk\ndata: <p>\n\nevent: state\ndata: a\n\n"
    )
