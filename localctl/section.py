"""What every section of the configuration obeys. Rules: no I/O.

Strict and frozen; unknown keys are refused, values are never mended. A section's own check begins its message with the
key that it is about.
"""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """What every section obeys: strict, frozen, unknown keys refused.

    One checker for the whole file, built when the file is read, in place of one a section (``defer_build``).
    """

    model_config = ConfigDict(
        defer_build=True,
        strict=True,
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )


def check_pair(cert_file: str, key_file: str, kind: str = "") -> None:
    """Raise ValueError where one of the two is missing; ``kind`` begins their names ("rsa_")."""
    if bool(cert_file) != bool(key_file):
        names = (f"{kind}cert_file", f"{kind}key_file")
        alone, missing = names if cert_file else names[::-1]
        raise ValueError(f"{alone}: is of no use without {missing}; allowed: both or neither")
