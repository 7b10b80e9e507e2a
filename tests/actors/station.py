"""Charging stations on the package ``ocpp``: what they do of their own accord, and what they answer.

A station checks what it sends and what it gets against the package's schemas. Which EVSE it has and what it charges is
of no interest here: it boots, it charges once, it does as it is told.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

from ocpp.v16 import ChargePoint as Point16
from ocpp.v16 import call as calls_16
from ocpp.v16 import call_result as results_16
from ocpp.v21 import ChargePoint as Point21
from ocpp.v21 import call as calls_21
from ocpp.v21 import call_result as results_21
from ocpp.v201 import ChargePoint as Point201
from ocpp.v201 import call as calls_201
from ocpp.v201 import call_result as results_201
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.actors.answers import now, route
from tests.actors.link import Frame
from tests.actors.news import TIMEOUT, News

T = TypeVar("T")

_POINTS: Final[Mapping[str, Any]] = {"1.6": Point16, "2.0.1": Point201, "2.1": Point21}
_CALLS: Final[Mapping[str, Any]] = {"1.6": calls_16, "2.0.1": calls_201, "2.1": calls_21}
_RESULTS: Final[Mapping[str, Any]] = {"1.6": results_16, "2.0.1": results_201, "2.1": results_21}


class Station:
    """A station, connected for as long as its ``async with`` lasts.

    ``url`` is what the identity is appended to, after a slash. ``subprotocols`` are offered, by default only the one of
    ``version``. ``called`` holds what the CSMS has asked, action and payload; ``frames`` all frames as they were on
    the wire; ``closed`` is whether the connection is over (see ``connection.close_code``).
    """

    def __init__(
        self,
        url: str,
        identity: str,
        version: str = "2.0.1",
        *,
        password: str = "",
        subprotocols: Sequence[str] | None = None,
        tls: ssl.SSLContext | None = None,
        deflate: bool = True,
    ) -> None:
        self.identity = identity
        self.version = version
        self.frames: list[Frame] = []
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.closed = False
        self.news = News(lambda: f"{identity} has had {self.frames[-10:]}")
        self.connection: ClientConnection
        self._send = _CALLS[version]
        self._point = _POINTS[version](identity, self, response_timeout=TIMEOUT)
        self._point.route_map = {
            action: {"_on_action": self._answering(action, make), "_skip_schema_validation": False}
            for action, make in self._answers().items()
        }
        credentials = base64.b64encode(f"{identity}:{password}".encode()).decode()
        self._connect = connect(
            f"{url}/{quote(identity, safe='')}",
            subprotocols=[Subprotocol(name) for name in subprotocols or [f"ocpp{version}"]],
            additional_headers={"Authorization": f"Basic {credentials}"} if password else {},
            ssl=tls,
            compression="deflate" if deflate else None,
            ping_interval=None,
            proxy=None,
        )
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        self.connection = await self._connect
        await self._tasks.__aenter__()
        self._tasks.create_task(self._listen(), name=f"station {self.identity}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.close()
        await self._tasks.__aexit__(None, None, None)

    async def boot(self, serial_number: str | None = None) -> str:
        """Send a BootNotification; the status of its answer."""
        if self.version == "1.6":
            request = self._send.BootNotification(
                charge_point_model="model", charge_point_vendor="vendor", charge_point_serial_number=serial_number
            )
        else:
            about = {"model": "model", "vendor_name": "vendor"}
            if serial_number:
                about["serial_number"] = serial_number
            request = self._send.BootNotification(charging_station=about, reason="PowerUp")
        return str((await self.call(request)).status)

    async def heartbeat(self) -> str:
        """Send a Heartbeat; the CSMS's time."""
        return str((await self.call(self._send.Heartbeat())).current_time)

    async def transaction(self) -> None:
        """Charge once: authorize, start, a meter value, stop."""
        steps = self._transaction_16() if self.version == "1.6" else self._transaction_2()
        await steps

    async def call(self, request: Any) -> Any:
        """Send a CALL, a dataclass of the package; its answer. Raises the package's OCPPError for a CALLERROR."""
        return await self._point.call(request, suppress=False)

    async def until(self, condition: Callable[[], T], what: str = "what was waited for", timeout: float = TIMEOUT) -> T:
        """Wait until ``condition()`` holds, asking after each frame and at the connection's end; its value."""
        return await self.news.until(condition, what, timeout)

    async def send(self, frame: str | bytes) -> None:
        """Send a frame as it stands; the package sends its own through here."""
        self.frames.append(Frame("sent", frame))
        await self.connection.send(frame)

    async def recv(self) -> str | bytes:
        """The next frame, for the package; tests look at ``frames``."""
        frame = await self.connection.recv()
        self.frames.append(Frame("received", frame))
        self.news.tell()
        return frame

    async def _listen(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await route(self._point, self, await self.recv())
        self.closed = True
        self.news.tell()

    def _answering(self, action: str, make: Callable[..., Any]) -> Callable[..., Any]:
        def answer(**payload: Any) -> Any:
            self.called.append((action, payload))
            self.news.tell()
            return make(**payload)

        return answer

    def _answers(self) -> dict[str, Callable[..., Any]]:
        make = _RESULTS[self.version]
        if self.version == "1.6":
            return {
                "ChangeAvailability": lambda **_: make.ChangeAvailability(status="Accepted"),
                "RemoteStartTransaction": lambda **_: make.RemoteStartTransaction(status="Accepted"),
                "UpdateFirmware": lambda **_: make.UpdateFirmware(),
            }
        return {
            "GetVariables": lambda get_variable_data, **_: make.GetVariables([_unknown(x) for x in get_variable_data]),
            "RequestStartTransaction": lambda **_: make.RequestStartTransaction(status="Accepted"),
            "UpdateFirmware": lambda **_: make.UpdateFirmware(status="Accepted"),
        }

    async def _transaction_16(self) -> None:
        await self.call(self._send.Authorize(id_tag="TAG"))
        start = self._send.StartTransaction(connector_id=1, id_tag="TAG", meter_start=0, timestamp=now())
        transaction_id = (await self.call(start)).transaction_id
        value = {"timestamp": now(), "sampled_value": [{"value": "1"}]}
        await self.call(self._send.MeterValues(connector_id=1, transaction_id=transaction_id, meter_value=[value]))
        await self.call(self._send.StopTransaction(meter_stop=1, timestamp=now(), transaction_id=transaction_id))

    async def _transaction_2(self) -> None:
        token = {"id_token": "TAG", "type": "ISO14443"}
        await self.call(self._send.Authorize(id_token=token))
        steps = (("Started", "Authorized"), ("Updated", "MeterValuePeriodic"), ("Ended", "StopAuthorized"))
        for number, (event, trigger) in enumerate(steps):
            request = self._send.TransactionEvent(
                event_type=event,
                timestamp=now(),
                trigger_reason=trigger,
                seq_no=number,
                transaction_info={"transaction_id": f"{self.identity}-1"},
                meter_value=[{"timestamp": now(), "sampled_value": [{"value": float(number)}]}],
            )
            await self.call(request)


def _unknown(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"attribute_status": "UnknownVariable", "component": asked["component"], "variable": asked["variable"]}
