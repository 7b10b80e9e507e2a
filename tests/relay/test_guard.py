"""Who is judged by what, and what failing costs; the clock is a list of naps."""

import asyncio
import ssl
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from prometheus_client import CollectorRegistry
from websockets.frames import CloseCode

from localctl.config import Stations
from localctl.metrics import Metrics
from localctl.relay import guard as guards
from localctl.relay import policy
from localctl.relay.frames import Fault
from localctl.relay.guard import Guard
from localctl.relay.passwords import Passwords
from localctl.relay.policy import Refusal
from localctl.station_sections import StationsWss
from tests.relay.conftest import until

PEER: Final = "192.0.2.1"
WRONG: Final = Refusal(401, "password", "its password is wrong")
BOOT: Final = b'[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":{"serialNumber":"SN-%d"}}]'


class Book:
    """Passwords: whom it was asked for, and what it answers."""

    def __init__(self, answer: Refusal | None = WRONG) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self._answer = answer

    async def judge(self, identity: str, authorization: str | None) -> Refusal | None:
        self.asked.append((identity, authorization))
        return self._answer


class House:
    """A guard, and what it counts."""

    def __init__(self, book: Book | None = None, **wss: Any) -> None:
        keys = {"cert_file": "c", "key_file": "k", "client_ca_file": "ca", **wss}
        self.metrics = Metrics(CollectorRegistry(), "0")
        stations = Stations.model_construct(wss=StationsWss.model_construct(**keys) if wss != {"none": True} else None)
        self.guard = Guard(stations, cast("Passwords | None", book), self.metrics)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"localctl_{name}", labels)


def certificate(name: str) -> dict[str, Any]:
    """What ``getpeercert`` tells of one with that commonName."""
    return {"subject": ((("commonName", name),),)}


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each nap; none is taken."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(guards, "asyncio", SimpleNamespace(sleep=sleep, get_running_loop=asyncio.get_running_loop))
    return taken


# Judging.


async def test_a_password_is_the_book_s_to_judge() -> None:
    """A00.FR.207: with the header as it came, or none."""
    book = Book()
    house = House(book)
    assert await house.guard.judge("CS-1", None, "Basic x") is WRONG
    assert await house.guard.judge("CS-2", None, None) is WRONG
    assert book.asked == [("CS-1", "Basic x"), ("CS-2", None)]
    assert await House(Book(None)).guard.judge("CS-1", None, "Basic x") is None


async def test_without_a_book_the_csms_judges() -> None:
    """Nobody is turned away here."""
    assert await House().guard.judge("CS-1", None, None) is None


async def test_a_certificate_needs_no_password() -> None:
    """A00.FR.405: it must name the station; security profile 3 knows no password."""
    book = Book()
    house = House(book, serials={"CS-2": "SN-2"})
    assert await house.guard.judge("CS-1", certificate("cs-1"), None) is None
    assert await house.guard.judge("CS-2", certificate("SN-2"), None) is None
    refusal = await house.guard.judge("CS-1", certificate("SN-2"), None)
    assert refusal is not None
    assert (refusal.status, refusal.result) == (403, "certificate")
    assert book.asked == []


async def test_any_certificate_will_do() -> None:
    """Where the configuration says so."""
    house = House(Book(), certificate_identity="any")
    assert await house.guard.judge("CS-1", certificate("another"), None) is None


# Looking into messages.


def test_who_is_looked_into() -> None:
    """B01.FR.11: who shows a certificate that has to name it."""
    assert House().guard.inspector(certificate("SN-1")) is not None
    assert House().guard.inspector(None) is None
    assert House().guard.inspector({}) is None
    assert House(certificate_identity="any").guard.inspector(certificate("SN-1")) is None
    assert House(none=True).guard.inspector(certificate("SN-1")) is None


def test_what_is_looked_for() -> None:
    """B01.FR.12: a BootNotification with another serial number ends the relay, with 1008; all else passes."""
    inspect = House().guard.inspector(certificate("SN-1"))
    assert inspect is not None
    for message in (BOOT % 1, b"[3]", b'[2,"1","Heartbeat",{}]', b"\xff"):
        inspect(message)
    with pytest.raises(Fault) as fault:
        inspect(BOOT % 2)
    assert fault.value.code == CloseCode.POLICY_VIOLATION


# Holding back.


async def test_who_fails_waits_longer_each_time(naps: list[float]) -> None:
    """By address; who is let in meanwhile makes good for it."""
    house = House()
    for _ in range(3):
        assert await house.guard.hold_back(WRONG, "stations.ws", PEER)
    assert await house.guard.hold_back(WRONG, "stations.ws", "192.0.2.2")
    house.guard.passed(PEER)
    assert await house.guard.hold_back(WRONG, "stations.ws", PEER)
    assert naps == [0.5, 1, 2, 0.5, 0.5]


@pytest.mark.parametrize(
    ("refusal", "event"),
    [
        (WRONG, "FailedToAuthenticateAtCsms"),
        (Refusal(401, "refused_by_csms", ""), "FailedToAuthenticateAtCsms"),
        (Refusal(403, "refused_by_csms", ""), "FailedToAuthenticateAtCsms"),
        (Refusal(403, "certificate", ""), "InvalidChargingStationCertificate"),
        (policy.OWN_IDENTITY, "OwnIdentityClaimed"),
    ],
)
@pytest.mark.parametrize("listener", ["stations.ws", "stations.wss"])
async def test_failures_are_counted(naps: list[float], refusal: Refusal, event: str, listener: str) -> None:
    """By listener, and as OCPP's security events."""
    house = House()
    assert await house.guard.hold_back(refusal, listener, PEER)
    assert len(naps) == 1
    assert house.value("auth_failures_total", listener=listener) == 1
    assert house.value("security_events_total", type=event) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        policy.NOT_ALLOWED,
        policy.NO_IDENTITY,
        policy.NO_VERSION,
        policy.FULL,
        policy.LEAVING,
        policy.BROKEN,
        policy.unreachable("away"),
        policy.nonsense("?"),
        Refusal(404, "refused_by_csms", ""),
        Refusal(503, "refused_by_csms", ""),
    ],
)
async def test_other_refusals_wait_for_nothing(naps: list[float], refusal: Refusal) -> None:
    """Nobody has failed to say who he is."""
    house = House()
    assert await house.guard.hold_back(refusal, "stations.ws", PEER)
    assert naps == []
    assert house.value("auth_failures_total", listener="stations.ws") == 0


async def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who fails beyond them gets no answer at all, at once, and is counted; when one has waited there is room again."""
    monkeypatch.setattr(guards, "MOST_WAITING", 2)
    bell = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        await bell.wait()

    monkeypatch.setattr(guards, "asyncio", SimpleNamespace(sleep=sleep, get_running_loop=asyncio.get_running_loop))
    house = House()
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(house.guard.hold_back(WRONG, "stations.ws", PEER)) for _ in range(2)]
        await until(lambda: house.guard._waiting == 2)
        assert not await house.guard.hold_back(WRONG, "stations.ws", PEER)
        bell.set()
    assert [task.result() for task in waiting] == [True, True]
    assert await house.guard.hold_back(WRONG, "stations.ws", PEER)
    assert house.value("auth_failures_total", listener="stations.ws") == 4


async def test_one_that_leaves_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that hangs up while its answer is held back."""
    monkeypatch.setattr(guards, "MOST_WAITING", 1)
    house = House()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(house.guard.hold_back(WRONG, "stations.ws", PEER))
        await until(lambda: house.guard._waiting == 1)
        waiting.cancel()
    assert house.guard._waiting == 0


# TLS.


def tls_fault(reason: str | None) -> ssl.SSLError:
    """As OpenSSL gives it."""
    fault = ssl.SSLError()
    fault.reason = reason  # type: ignore[assignment]  # it may be None
    return fault


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("UNSUPPORTED_PROTOCOL", "InvalidTLSVersion"),
        ("NO_SHARED_CIPHER", "InvalidTLSCipherSuite"),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "InvalidChargingStationCertificate"),
        ("CERTIFICATE_VERIFY_FAILED", "InvalidChargingStationCertificate"),
    ],
)
def test_tls_that_must_be_mended(reason: str, event: str) -> None:
    """What OpenSSL says is a security event of OCPP's."""
    house = House()
    house.guard.tls_failed(tls_fault(reason))
    assert house.value("auth_failures_total", listener="stations.wss") == 1
    assert house.value("security_events_total", type=event) == 1


@pytest.mark.parametrize(
    "fault", [tls_fault(None), tls_fault("HTTP_REQUEST"), ConnectionResetError(), TimeoutError(), ValueError()]
)
def test_tls_that_is_broken_off(fault: OSError | ValueError) -> None:
    """A port scan is none."""
    house = House()
    house.guard.tls_failed(fault)
    assert house.value("auth_failures_total", listener="stations.wss") == 0


async def test_other_settings_count_for_who_comes() -> None:
    """Other passwords, or none; other serial numbers."""
    house = House(serials={"CS-1": "SN-1"})
    assert await house.guard.judge("CS-1", certificate("SN-1"), None) is None
    wss = StationsWss(cert_file="c", key_file="k", client_ca_file="ca", serials={"CS-1": "SN-2"})
    house.guard.reconfigure(Stations.model_construct(wss=wss), cast("Passwords", Book()))
    refusal = await house.guard.judge("CS-1", certificate("SN-1"), None)
    assert refusal is not None
    assert refusal.result == "certificate"
    assert await house.guard.judge("CS-1", None, "Basic x") is WRONG
