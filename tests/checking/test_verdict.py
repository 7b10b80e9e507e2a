"""How things are written in what `localctl check` says."""

from pathlib import Path

from localctl.checking.verdict import Check, day, open_to_all, size


def test_a_file_for_everyone_is_a_warning(tmp_path: Path) -> None:
    """By its key and with the command that mends it; no file, no path and a private one are none."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    assert list(open_to_all("a.b_file", str(secret))) == [
        Check(
            "warn",
            f"a.b_file: {secret} can be read by everyone",
            f"Let only localctl's user read it (chmod 0640 {secret}).",
        )
    ]
    secret.chmod(0o640)
    for name in (str(secret), "", str(tmp_path), "/nonexistent", f"/{'x' * 300}"):
        assert not list(open_to_all("a.b_file", name))


def test_days_and_sizes() -> None:
    """As people write them."""
    assert day(0) == "1970-01-01"
    assert [size(count) for count in (0, 5 * 2**20, 3 * 2**29)] == ["0 MiB", "5 MiB", "1.5 GiB"]
