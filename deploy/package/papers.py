"""What the package says of itself: the copyright file, the bill of materials, Debian's changelog."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from deploy.package.wheels import PackageError, distribution, sha256

MAINTAINER: Final = "The localctl project <localctl@localhost>"
_LICENCE_FILES: Final = ("license", "licence", "copying", "notice", "authors")
_SHA_256: Final = HashAlgorithm.SHA_256
_CLASSIFIER: Final = "License :: OSI Approved :: "
_APACHE: Final = "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"  # Debian has it on every machine
_HEADER: Final = (
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
    "Upstream-Name: localctl\n"
    "Comment: The package carries the libraries that it needs, in /usr/lib/localctl. Their licences follow, each\n"
    " as its distribution has it.\n"
)
_MIT: Final = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software"


@dataclass(frozen=True, slots=True)
class Carried:
    """One distribution within the package: what it says of itself, its wheels with their hashes, its licence texts."""

    name: str
    version: str
    summary: str
    licence: str
    is_expression: bool
    wheels: tuple[tuple[str, str], ...]
    texts: tuple[tuple[str, str], ...]


def carried(wheels: list[Path]) -> list[Carried]:
    """What the wheels hold, by name. Raises PackageError where one tells no licence."""
    by_name: dict[str, list[Path]] = {}
    for wheel in wheels:
        by_name.setdefault(distribution(wheel), []).append(wheel)
    return [_carried(name, by_name[name]) for name in sorted(by_name)]


def _carried(name: str, wheels: list[Path]) -> Carried:
    with zipfile.ZipFile(wheels[0]) as archive:
        entries = [entry for entry in archive.namelist() if ".dist-info/" in entry and not entry.endswith("/")]
        [metadata] = [message_from_bytes(archive.read(entry)) for entry in entries if entry.endswith("/METADATA")]
        texts = tuple(
            (entry.rpartition(".dist-info/")[2].removeprefix("licenses/"), archive.read(entry).decode(errors="replace"))
            for entry in sorted(entries)
            if any(word in entry.rpartition("/")[2].lower() for word in _LICENCE_FILES)
        )
    licence, is_expression = _licence(name, metadata, texts)
    hashes = tuple((wheel.name, sha256(wheel)) for wheel in wheels)
    return Carried(name, metadata["Version"], metadata["Summary"] or "", licence, is_expression, hashes, texts)


def _licence(name: str, metadata: Message, texts: tuple[tuple[str, str], ...]) -> tuple[str, bool]:
    """What it is, and whether that is an SPDX expression."""
    if expression := metadata["License-Expression"]:
        return str(expression), True
    if said := [each.removeprefix(_CLASSIFIER) for each in metadata.get_all("Classifier", []) if _CLASSIFIER in each]:
        return ", ".join(said), False
    said_freely = str(metadata["License"] or "").strip()
    if said_freely and "\n" not in said_freely:
        return said_freely, False
    if any(_MIT in " ".join(text.split()) for _, text in texts):
        return "MIT", True
    if name == "localctl":
        return "not stated", False
    raise PackageError(f"{name} tells no licence: it cannot be packed")


def bill(own: Carried, others: list[Carried], version: str, architecture: str, seconds: int) -> str:
    """The CycloneDX document, valid. Raises PackageError where it is not."""
    root = _component(own, ComponentType.APPLICATION)
    parts = [_component(each, ComponentType.LIBRARY) for each in others]
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"localctl/{version}/{architecture}/{sorted(own.wheels)}"),
        metadata=BomMetaData(component=root, timestamp=datetime.fromtimestamp(seconds, UTC)),
        components=parts,
        dependencies=[Dependency(root.bom_ref, [Dependency(part.bom_ref) for part in parts])],
    )
    text = str(JsonV1Dot6(bom).output_as_string(indent=2))
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise PackageError(f"the bill of materials is not valid CycloneDX: {fault}")
    return json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def _component(each: Carried, kind: ComponentType) -> Component:
    """A distribution; where there is a wheel for each Python, they are its parts."""
    licence = LicenseExpression(each.licence) if each.is_expression else DisjunctiveLicense(name=each.licence)
    files = [
        Component(name=name, type=ComponentType.FILE, bom_ref=name, hashes=[HashType(alg=_SHA_256, content=digest)])
        for name, digest in each.wheels
    ]
    return Component(
        name=each.name,
        version=each.version,
        type=kind,
        description=each.summary,
        bom_ref=f"{each.name}@{each.version}",
        purl=PackageURL("pypi", None, each.name, each.version) if kind is ComponentType.LIBRARY else None,
        licenses=[licence],
        components=files,
    )


def copyright_file(own: Carried, others: list[Carried]) -> str:
    """In Debian's machine-readable format; the texts as they came, each once."""
    shown: dict[str, str] = {}
    blocks = [
        _HEADER,
        f"Files: *\nCopyright: the authors of localctl\nLicense: localctl\n{_field(_own_text(own))}",
    ]
    blocks += [
        f"Files: usr/lib/localctl/{each.name.replace('-', '_')}*\n"
        f"Copyright: the authors of {each.name}, as its licence names them\n"
        f"License: {each.name}\n{_field(chr(10).join(_texts(each, shown)))}"
        for each in others
    ]
    return "\n".join(blocks)


def _own_text(own: Carried) -> str:
    return "\n".join(text for _, text in own.texts) or "The source of localctl states no licence."


def _texts(each: Carried, shown: dict[str, str]) -> Iterator[str]:
    yield f"{each.name} {each.version}: {each.licence}"
    for name, text in each.texts:
        yield ""
        if _APACHE in text:
            yield f"{name}: the Apache License, Version 2.0, /usr/share/common-licenses/Apache-2.0"
            lines = (line.strip() for line in text.splitlines())
            yield from (line for line in lines if line.startswith("Copyright ") and "[" not in line)
        elif other := shown.get(text):
            yield f"{name}: the same text as that of {other}."
        else:
            shown[text] = f"{each.name} ({name})"
            yield from (f"{name}:", "", text)


def _field(text: str) -> str:
    return "".join(f" {line.rstrip()}\n" if line.strip() else " .\n" for line in text.splitlines())


def changelog(version: str, seconds: int) -> str:
    """Debian's; what changed stands in that of localctl."""
    date = format_datetime(datetime.fromtimestamp(seconds, UTC))
    return f"localctl ({version}) stable; urgency=medium\n\n  * See changelog.gz.\n\n -- {MAINTAINER}  {date}\n"
