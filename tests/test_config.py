"""The configuration: what loads, what is refused, and in which words."""

import errno
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from localctl.config import Config, load, read_secret
from localctl.errors import ConfigurationError
from localctl.sections import PublishFtp, PublishHttps
from localctl.station_sections import StationsWss

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.toml"
BROKEN = sorted((ROOT / "tests" / "config").glob("*.toml"))
SECRET = "geheim-0815"
SMALLEST = '[controller]\nidentity = "LC-0001"\n\n[csms]\nurl = "ws://csms.example.com/ocpp"\n'


def write(folder: Path, text: str) -> Path:
    """A configuration file that holds ``text``."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> tuple[str, ...]:
    """The faults for which the file at ``path`` is refused, each without the file's name that must begin it."""
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    assert all(fault.startswith(f"{path}: ") for fault in caught.value.faults)
    return tuple(fault.removeprefix(f"{path}: ") for fault in caught.value.faults)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_configuration_is_refused_in_these_words(path: Path) -> None:
    """One file breaks one rule, and the lines beside it are all that is said about it."""
    expected = path.with_suffix(".txt").read_text(encoding="utf-8")
    assert "\n".join(refusal(path)) + "\n" == expected


def test_no_fault_repeats_a_secret() -> None:
    """The broken files that hold a password or a token hold this one, and no line expected of them has it."""
    assert sum(SECRET in path.read_text(encoding="utf-8") for path in BROKEN) >= 4
    assert not [path for path in BROKEN if SECRET in path.with_suffix(".txt").read_text(encoding="utf-8")]


def test_smallest_configuration_loads(tmp_path: Path) -> None:
    """An identity and a URL are all that is required."""
    config = load(write(tmp_path, SMALLEST), {})
    assert config.controller.identity == "LC-0001"
    assert config.csms.url == "ws://csms.example.com/ocpp"
    assert list(config.listeners()) == ["admin.listen"]


def test_stations_may_come_over_tls_alone(tmp_path: Path) -> None:
    """Where [stations.ws] may stand, [stations.wss] may, with its two files."""
    text = '[stations.wss]\ncert_file = "/c"\nkey_file = "/k"\nclient_ca_file = "/r"\nserials = { "CS.1" = "SN-1" }\n'
    config = load(write(tmp_path, SMALLEST + text), {})
    assert list(config.listeners()) == ["stations.wss.listen", "admin.listen"]
    assert config.stations.wss is not None
    assert config.stations.wss.serials == {"CS.1": "SN-1"}


def test_section_alone_asks_for_its_listener(tmp_path: Path) -> None:
    """A listener exists where its section exists, at its default where nothing else is said."""
    config = load(write(tmp_path, SMALLEST + "[publish.http]\n"), {})
    assert str(config.listeners()["publish.http.listen"]) == "0.0.0.0:8080"


def test_example_holds_the_defaults() -> None:
    """config.example.toml loads as it stands, and each value in it is the model's default."""
    config = load(EXAMPLE, {})
    wrong = [key for key, value, default in defaults(config) if value != default]
    assert wrong == ["controller.identity", "csms.url"]  # required: they have none
    assert set(config.listeners()) == {
        "stations.ws.listen",
        "publish.http.listen",
        "publish.ftp.listen",
        "admin.listen",
    }


def test_example_names_every_key() -> None:
    """Each key of the model stands in config.example.toml, in its section, live or as a comment with its default."""
    uncommented = re.sub(r"^# (?=\[[a-z.]+\]$|[a-z_]+ = )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tree = tomllib.loads(uncommented)
    assert sorted(leaves(tree)) == sorted(keys(Config))


def test_password_is_never_printed(tmp_path: Path) -> None:
    """A password stands in no text that a configuration turns into."""
    config = load(write(tmp_path, f'{SMALLEST}basic_auth_password = "{SECRET}"\n'), {})
    assert config.csms.basic_auth_password.get_secret_value() == SECRET
    for text in (repr(config), str(config), config.model_dump_json(), str(config.model_dump()), repr(config.csms)):
        assert SECRET not in text


def test_password_of_the_status_page(tmp_path: Path) -> None:
    """Inline or in a file, never printed; a command that only asks the daemon is not given the file's."""
    (tmp_path / "password").write_text(f"{SECRET}\n")
    for key in (f'password = "{SECRET}"', f'password_file = "{tmp_path}/password"'):
        path = write(tmp_path, f'{SMALLEST}[admin]\nlisten = "0.0.0.0:9188"\n{key}\n')
        config = load(path, {})
        assert config.admin.password.get_secret_value() == SECRET
        assert SECRET not in repr(config) + config.model_dump_json()
    assert load(path, None).admin.password.get_secret_value() == ""


def test_every_secret_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Those of both sections at once."""
    text = f'{SMALLEST}basic_auth_password_file = "/none"\n[admin]\npassword_file = "{SECRET}"\n'
    faults = refusal(write(tmp_path, text))
    assert [fault.partition(":")[0] for fault in faults] == ["csms.basic_auth_password_file", "admin.password_file"]
    assert SECRET not in str(faults)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_password_comes_from_a_file(tmp_path: Path, ending: str) -> None:
    """The file's line ending is not part of the password; everything else is."""
    (tmp_path / "password").write_bytes(f" ge heim:ü{ending}".encode())
    config = load(write(tmp_path, f'{SMALLEST}basic_auth_password_file = "{tmp_path}/password"\n'), {})
    assert config.csms.basic_auth_password == SecretStr(" ge heim:ü")
    assert "heim" not in repr(config) + config.model_dump_json()


def test_password_comes_from_a_systemd_credential(tmp_path: Path) -> None:
    """``credential:NAME`` is a file of $CREDENTIALS_DIRECTORY."""
    (tmp_path / "csms").write_text(f"{SECRET}\n", encoding="utf-8")
    path = write(tmp_path, f'{SMALLEST}basic_auth_password_file = "credential:csms"\n')
    config = load(path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.csms.basic_auth_password.get_secret_value() == SECRET


@pytest.mark.parametrize("name", ["", ".", "..", "../password", "/etc/hostname"])
def test_credential_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    """A credential's name is no path."""
    with pytest.raises(ValueError, match="does not name a credential"):
        read_secret(f"credential:{name}", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "is empty"), (b"\r\n", "is empty"), (b"\xff\xfe", "is not UTF-8 text")]
)
def test_password_file_without_a_password_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """An empty password would connect without one, so it is a fault."""
    secret = tmp_path / "password"
    secret.write_bytes(content)
    [fault] = refusal(write(tmp_path, f'{SMALLEST}basic_auth_password_file = "{secret}"\n'))
    assert fault.startswith(f'csms.basic_auth_password_file: "{secret}" {reason}; allowed: ')


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A path without a file says so, and how the file is chosen."""
    assert refusal(tmp_path / "none.toml") == (
        "cannot be read: No such file or directory; allowed: a readable TOML file (--config names it)",
    )


def test_a_file_that_this_user_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says who may."""

    def refused(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", refused)
    [fault] = refusal(tmp_path / "c.toml")
    assert fault.startswith("cannot be read: Permission denied; allowed: one that this user may read, as root (sudo)")


def test_folder_is_no_configuration(tmp_path: Path) -> None:
    """A folder is refused as such."""
    assert refusal(tmp_path) == ("cannot be read: Is a directory; allowed: a readable TOML file (--config names it)",)


def test_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    """Latin-1 is refused at the line of its first letter that is not ASCII."""
    path = tmp_path / "config.toml"
    path.write_bytes('[controller]\nidentity = "Säule"\n'.encode("latin-1"))
    assert refusal(path) == ("line 2: is not UTF-8; allowed: text saved as UTF-8",)


def test_syntax_error_names_line_and_column(tmp_path: Path) -> None:
    """What is not TOML is refused where it stands."""
    [fault] = refusal(write(tmp_path, SMALLEST + "[publish.http]\nlisten = 0.0.0.0:8080\n"))
    assert fault.startswith("line 7, column 13: is not TOML: ")
    assert fault.endswith("; allowed: KEY = VALUE, with text in double quotes, numbers, true and false without")


@pytest.mark.parametrize("text", ["x = 1" + "0" * 5000, "x = " + "[" * 5000])
def test_hostile_toml_is_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    """A number without end and lists without end are faults of the file, not of ours."""
    [fault] = refusal(write(tmp_path, text))
    assert "is not TOML: " in fault


def test_faults_have_the_exit_status_of_sysexits() -> None:
    """78 is EX_CONFIG, on which systemd does not restart us."""
    assert ConfigurationError(("a", "b")).exit_status == 78
    assert str(ConfigurationError(("a", "b"))) == "a\nb"


def defaults(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, object, object]]:
    """Each key that is no section, with its value and its default."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from defaults(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value, field.default


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Each dotted key of ``model`` that is no section."""
    optional = {"wss": StationsWss, "https": PublishHttps, "ftp": PublishFtp}
    for name, field in model.model_fields.items():
        kinds = [field.annotation, optional.get(name), *getattr(field.annotation, "__args__", ())]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        yield from (f"{name}.{key}" for key in keys(inner)) if inner else (name,)


def leaves(tree: dict[str, object]) -> Iterator[str]:
    """Each dotted key of a TOML document that is no section."""
    for name, value in tree.items():
        yield from (f"{name}.{key}" for key in leaves(value)) if isinstance(value, dict) and value else (name,)
