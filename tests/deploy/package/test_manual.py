"""The man page and the completions, from click."""

import subprocess
from pathlib import Path

from deploy.package.manual import completions, page, roff
from localctl.cli import commands


def test_page_tells_every_command_and_option(tmp_path: Path) -> None:
    """Whatever click knows; and groff has nothing to complain of."""
    text = page(commands, "localctl", "1.0", "2026-01-02")
    for name, command in commands.commands.items():
        assert f".SS {name}" in text
        for param in command.params:
            for option in param.opts if param.param_type_name == "option" else []:
                assert roff(option) in text
    path = tmp_path / "localctl.1"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(path)], capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert done.stderr == ""
    assert "localctl 1.0" in done.stdout


def test_roff_is_escaped() -> None:
    """No text becomes a request, and a dash can be copied."""
    assert roff(".a\n'b\n\\c-d") == "\\&.a\n\\&'b\n\\ec\\-d"


def test_there_is_a_completion_for_each_shell(tmp_path: Path) -> None:
    """Where Debian looks for it; bash's is one that bash can read."""
    made = completions(commands, "localctl")
    assert {path.split("/")[2] for path in made} == {"bash-completion", "zsh", "fish"}
    script = tmp_path / "localctl"
    script.write_text(made["usr/share/bash-completion/completions/localctl"], encoding="utf-8")
    subprocess.run(["bash", "-n", str(script)], check=True)
