"""The archive itself."""

import io
import tarfile

from localctl.bundle.archive import Part, contents, folder, packed

MOMENT = 1769860800.0  # 2026-01-31 12:00:00 UTC
PARTS = (
    Part("log.txt", "the log", "gehéim\udcff\n"),
    Part("status.json.missing", "the status: cannot be had", "why\n"),
)


def test_the_name_tells_whose_and_when() -> None:
    """Whatever the identity holds, it is a file's name."""
    assert folder("LC-7", MOMENT) == "localctl-LC-7-20260131T120000Z"
    assert folder("ß*\\..", MOMENT) == "localctl-_.."[:-2] + "..-20260131T120000Z"


def test_it_is_a_folder_of_texts_for_its_owner() -> None:
    """With a table of contents that says what is missing, and that passwords are."""
    with tarfile.open(fileobj=io.BytesIO(packed(PARTS, "x", MOMENT))) as archive:
        members = archive.getmembers()
        about = archive.extractfile("x/README.txt")
        assert about is not None
        text = about.read().decode()
    assert [(member.name, member.mode, member.mtime) for member in members] == [
        (f"x/{name}", 0o600, int(MOMENT)) for name in ("README.txt", "log.txt", "status.json.missing")
    ]
    assert "2026-01-31 12:00:00 UTC" in text
    assert all(line in text for line in contents(PARTS))
    assert "Passwords and private keys are not in it" in text
