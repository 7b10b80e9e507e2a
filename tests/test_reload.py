"""Reading the configuration again; what the rooms then do, they prove, and the journeys prove it at the real daemon."""

import asyncio
import logging
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from localctl.config import Config, load
from localctl.errors import ConfigurationError
from localctl.metrics import Metrics
from localctl.reload import Reload, Take
from localctl.systemd import Notifier

BASE = '[controller]\nidentity = "LC-0001"\n\n[csms]\nurl = "ws://csms.example.com/ocpp"\n'
SECRET = "geheim-0815"
UNTIL = "until a restart (localctl check, then systemctl restart localctl)"


class Told(Notifier):
    """systemd, which keeps what it is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.lines: list[str] = []
        self.news = asyncio.Event()

    def reloading(self) -> None:
        self.lines.append("RELOADING")

    def ready(self, status: str) -> None:
        self.lines.append(status)
        self.news.set()


class House:
    """A file, and a room that takes over what is in it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.toml"
        self.write("")
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.now = 1000.0
        self.taken: list[Config] = []
        self.wrong: Exception | None = None
        self.reload = Reload(self.file, load(self.file, {}), self.metrics, lambda: self.now)

    def write(self, more: str) -> None:
        self.file.write_text(BASE + more, encoding="utf-8")

    def prepare(self, config: Config) -> Take:
        if self.wrong:
            raise self.wrong
        return lambda: self.taken.append(config)

    async def again(self) -> None:
        self.now += 1
        await self.reload.once([self.prepare, self.prepare])

    def values(self) -> tuple[float | None, float | None]:
        """The two metrics."""
        names = ("config_last_reload_successful", "config_last_reload_success_timestamp_seconds")
        value = self.metrics.registry.get_sample_value
        return value(f"localctl_{names[0]}"), value(f"localctl_{names[1]}")


@pytest.fixture
def house(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> House:
    """One, with its log."""
    caplog.set_level(logging.INFO, "localctl.reload")
    return House(tmp_path)


async def test_at_the_start(house: House) -> None:
    """The start's own reading counts as a good one."""
    assert house.values() == (1, 1000)
    assert house.reload.told() == {"path": str(house.file), "loaded_at": 1000, "reload_error": None}


async def test_a_good_file(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Each room takes it over, without what takes a restart; one line says what, a warning says what not."""
    house.write('[log]\nlevel = "debug"\n[admin]\nlisten = ""\n')
    await house.again()
    assert [config.log.level for config in house.taken] == ["debug", "debug"]
    assert house.taken[0].admin.listen is not None
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"{house.file} was read again; taken over: log.level"),
        (
            "WARNING",
            f"{house.file}: these stay as they were {UNTIL}: admin.listen",
        ),
    ]
    assert house.values() == (1, 1001)
    caplog.clear()
    house.write('[log]\nlevel = "debug"\n')
    await house.again()
    assert caplog.messages == [f"{house.file} was read again; taken over: nothing, as nothing differs"]


async def test_only_what_is_used_is_compared_with(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """What waits for a restart is told of each time, until there is one or the file is as it was."""
    house.write('[admin]\nlisten = ""\n')
    for _ in range(2):
        await house.again()
    assert sum("admin.listen" in line for line in caplog.messages) == 2
    assert "taken over: nothing, as what differs takes a restart" in caplog.messages[0]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("[log]\nlevel = 7\n", "line 7: log.level: 7 "),
        ("[csms]\n", "line 6, column 6: is not TOML"),
        (f'basic_auth_password = "{SECRET}"\nbasic_auth_password_file = "/x"\n', "line 6: csms.basic_auth_password: "),
        ('basic_auth_password_file = "/none"\n', 'line 6: csms.basic_auth_password_file: "/none" cannot be read'),
    ],
)
async def test_a_bad_file(house: House, caplog: pytest.LogCaptureFixture, more: str, fault: str) -> None:
    """Nobody takes anything over; line, key and fault are logged and told, and no secret is; then it may be mended."""
    house.write(more)
    await house.again()
    assert house.taken == []
    error = house.reload.told()["reload_error"]
    assert error.startswith(f"{house.file}: {fault}")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.messages == [f"The configuration is refused, and the one before it stays: {error}"]
    assert SECRET not in caplog.text
    assert house.values() == (0, 1000)
    house.write("")
    await house.again()
    assert house.values() == (1, 1002)
    assert house.reload.told()["reload_error"] is None


async def test_a_room_that_cannot_take_it(house: House) -> None:
    """What a room finds wrong is told as the file's own fault is; and no room has taken anything over by then."""
    house.write('[firmware]\nca_file = "/none"\n')
    house.wrong = ConfigurationError(('firmware.ca_file: "/none" cannot be read',))
    await house.again()
    assert house.taken == []
    assert house.reload.told()["reload_error"] == f'{house.file}: line 7: firmware.ca_file: "/none" cannot be read'


async def test_a_fault_of_ours(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """It ends nothing: all is as before, and the next time is another."""
    house.wrong = KeyError("oh")
    await house.again()
    assert "by a fault of localctl" in caplog.text
    assert house.values()[0] == 0
    house.wrong = None
    await house.again()
    assert house.values()[0] == 1


async def test_a_file_that_is_gone(house: House) -> None:
    """It is told, and the next one that is there counts."""
    house.file.unlink()
    await house.again()
    assert house.reload.told()["reload_error"].startswith(f"{house.file}: cannot be read: No such file")


async def test_signals_that_come_at_once(house: House) -> None:
    """One after the other, and those that come while one is at work are one more; systemd hears of each."""
    notifier = Told()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(house.reload.run([house.prepare], notifier), name="reload")
        house.write('[log]\nlevel = "debug"\n')
        for _ in range(3):
            house.reload.ask()
        await notifier.news.wait()
        house.write("[log]\nlevel = 7\n")
        notifier.news.clear()
        house.reload.ask()
        await notifier.news.wait()
        running.cancel()
    assert notifier.lines == [
        "RELOADING",
        "LC-0001 is ready for stations",
        "RELOADING",
        "LC-0001 is ready for stations; the new configuration was refused, see the log",
    ]
    assert len(house.taken) == 1


async def test_what_cannot_be_read_in_time(house: House, tmp_path: Path) -> None:
    """A pipe that nobody writes into, or a network's disk that hangs: refused, and the next reading is as ever."""
    os.mkfifo(tmp_path / "password")
    house.write(f'basic_auth_password_file = "{tmp_path / "password"}"\n')
    house.reload = Reload(house.file, load(house.file, None), house.metrics, lambda: house.now, patience=0.1)
    await house.again()
    assert "could not be read within 0 s" in str(house.reload.told()["reload_error"])
    house.write("")
    house.reload = Reload(house.file, load(house.file, None), house.metrics, lambda: house.now)
    await house.again()
    assert house.reload.told()["reload_error"] is None
