"""What every section of the configuration obeys."""

import pytest
from pydantic import ValidationError

from localctl.section import Section, check_pair


class Sample(Section):
    """A section of one key."""

    key: int = 1


@pytest.mark.parametrize("tree", [{"key": "1"}, {"other": 1}])
def test_sections_are_strict(tree: dict[str, object]) -> None:
    """Nothing is converted, and an unknown key is refused."""
    with pytest.raises(ValidationError):
        Sample.model_validate(tree)


def test_sections_are_frozen() -> None:
    """Nothing changes a section once it is read."""
    with pytest.raises(ValidationError):
        Sample().key = 2  # type: ignore[misc]  # what mypy forbids is tried on purpose


def test_a_certificate_needs_its_key() -> None:
    """Both or neither; the one that stands alone is named."""
    check_pair("", "")
    check_pair("c", "k")
    with pytest.raises(ValueError, match=r"^cert_file: is of no use without key_file; allowed: both or neither$"):
        check_pair("c", "")
    with pytest.raises(ValueError, match=r"^rsa_key_file: is of no use without rsa_cert_file; "):
        check_pair("", "k", "rsa_")
