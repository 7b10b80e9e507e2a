"""What stands beside the code that builds the package: scripts, nfpm's list, the container."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[3]
PACKAGE: Final = ROOT / "deploy" / "package"
SCRIPTS: Final = sorted([*ROOT.glob("deploy/*.sh"), *PACKAGE.glob("*.sh"), *PACKAGE.glob("p*st*"), PACKAGE / "prerm"])
CONTAINER: Final = ROOT / "deploy" / "container"


def read_yaml(path: Path) -> Any:  # what a file of YAML holds
    """The document."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    """Shellcheck finds nothing, and they are scripts for sh, which Debian's maintainer scripts must be."""
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_nfpm_names_only_files_that_exist() -> None:
    """Of this folder; what the build makes is named by its place in the package."""
    text = (PACKAGE / "nfpm.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{HERE\}/(\S+)", text))
    assert named >= {"postinst", "prerm", "postrm", "sysusers.conf", "lintian-overrides"}
    assert [name for name in named if not (PACKAGE / name).is_file()] == []
    for made in re.findall(r"src: \$\{STAGE\}(\S+)\n\s+dst: (\S+)", text):
        assert made[0] == made[1]


def test_configuration_is_a_conffile_that_others_cannot_read() -> None:
    """It may hold a password."""
    contents = read_yaml(PACKAGE / "nfpm.yaml")["contents"]
    [config] = [each for each in contents if each["dst"] == "/etc/localctl/config.toml"]
    assert (config["type"], config["file_info"]) == ("config", {"mode": 0o640})


def test_every_override_has_its_reason() -> None:
    """A comment above each, or above the one before it."""
    text = (PACKAGE / "lintian-overrides").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert all(line.startswith(("# ", "localctl: ")) for line in text.splitlines())


def test_dockerfile_keeps_hadolints_rules() -> None:
    """None is switched off."""
    dockerfile = CONTAINER / "Dockerfile"
    assert "hadolint ignore" not in dockerfile.read_text(encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).parent / "hadolint"), str(dockerfile)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_container_is_not_root_and_can_be_watched() -> None:
    """It has a user, a volume for its state, and a health check of its own."""
    text = (CONTAINER / "Dockerfile").read_text(encoding="utf-8")
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER \d+:\d+$", last, re.MULTILINE)
    assert "VOLUME /var/lib/localctl" in last
    assert "/healthz" in last
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert [name for name in source.split() if not (ROOT / name).exists()] == []


def test_compose_gives_no_rights() -> None:
    """A root that is read-only, no capability, no new privileges, more time to stop than transfers have."""
    service = read_yaml(CONTAINER / "compose.yaml")["services"]["localctl"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] != "0:0"
    assert int(service["stop_grace_period"].removesuffix("s")) > 20
