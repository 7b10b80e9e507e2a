"""Row 36 of the faults: certificates that are of no use, the CSMS's and our own, at the real daemon."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.exceptions import InvalidStatus

from tests.actors.authority import Authority
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.site import LC
from tests.actors.station import Station

NOW: Final = datetime.now(UTC)
DAY: Final = timedelta(days=1)
FAILURES: Final = "localctl_csms_connection_failures_total"
EXPIRY: Final = "localctl_tls_certificate_expiry_timestamp_seconds"


async def tried_twice(daemon: Daemon, words: str) -> None:
    """Wait until a second try to connect to the CSMS has failed; ``words`` say in the log why both did."""
    run = daemon.runs[-1]
    what = "no connection to the CSMS: "
    await run.until(lambda: sum(what in line for line in run.err) >= 2, "a second failure")
    lines = [record for record in daemon.log if record["message"].startswith(what)]
    assert {record["level"] for record in lines} == {"warning"}
    assert [record for record in lines if words not in record["message"]] == []


BAD: Final[Mapping[str, tuple[dict[str, Any], str]]] = {
    "expired": ({"begins": NOW - 2 * DAY, "ends": NOW - DAY}, "has expired; is this machine's clock right?"),
    "future": ({"begins": NOW + DAY, "ends": NOW + 2 * DAY}, "is not valid yet; is this machine's clock right?"),
    "name": ({"host": "csms.example.com"}, "is for another name than the one in the URL"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_row_36_the_csms_shows_a_certificate_of_no_use(tmp_path: Path, kind: str) -> None:
    """Row 36: expired, of the future, of another name: no connection, of ours or of a station, the reason in the log
    and the metric, and a further try; once the CSMS has a right one, all is well.
    """
    authority = Authority(tmp_path)
    made, words = BAD[kind]
    csms = Csms(tls=authority.server(**made))
    async with csms, Daemon(tmp_path, csms.url, {"csms": {"ca_file": authority.file}}) as daemon:
        await daemon.listening()
        await tried_twice(daemon, words)
        assert await daemon.metric(FAILURES, reason="tls") >= 2
        assert (await daemon.get("/readyz"))[0] == 503
        with pytest.raises(InvalidStatus) as refused:
            await Station(daemon.stations_url, "CS-1").__aenter__()
        assert refused.value.response.status_code == 502
        assert csms.handshakes == []
        csms._tls = authority.server()
        await csms.stop()
        await csms.start()
        await daemon.ready()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_row_36_our_own_has_ended_and_the_csms_minds(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    """Row 36: told at the start, with its end in the metric; the CSMS's refusal has its reason, in each version of TLS;
    a new certificate is used without a restart.
    """
    authority = Authority(tmp_path)
    ended = NOW - DAY
    own = authority.issue("own", ends=ended)
    demanding = authority.server(demanding=True)
    demanding.maximum_version = newest
    async with (
        Csms(tls=demanding) as csms,
        Daemon(tmp_path, csms.url, {"csms": {**own, "ca_file": authority.file}}) as daemon,
    ):
        await daemon.listening()
        warned = await daemon.logged("The certificate of csms ended on")
        assert warned["level"] == "warning"
        assert own["cert_file"] in warned["message"]
        await tried_twice(daemon, "without a word, as servers do that refuse our certificate (csms.cert_file)")
        assert await daemon.metric(FAILURES, reason="tls") >= 2
        assert await daemon.metric(EXPIRY, role="csms") == int(ended.timestamp())
        assert csms.handshakes == []
        authority.issue("own")
        await daemon.ready()


async def test_row_36_our_own_has_ended_and_we_serve_on(tmp_path: Path) -> None:
    """Row 36: what stations are shown: a warning for each listener, the end in the metric, and who does not look at the
    time is served: a station is relayed.
    """
    authority = Authority(tmp_path)
    ended = NOW - DAY
    own = {"listen": "127.0.0.1:0", **authority.issue("own", ends=ended)}
    lenient = ssl.create_default_context()
    lenient.check_hostname, lenient.verify_mode = False, ssl.CERT_NONE
    sections = {"stations": {"wss": own}, "publish": {"https": own}}
    async with Csms() as csms, Daemon(tmp_path, csms.url, sections) as daemon:
        await daemon.ready()
        for role in ("stations.wss", "publish.https"):
            assert (await daemon.logged(f"The certificate of {role} ended on"))["level"] == "warning"
            assert await daemon.metric(EXPIRY, role=role) == int(ended.timestamp())
        async with Station(daemon.sealed_stations_url, "CS-1", tls=lenient) as station:
            assert await station.boot() == "Accepted"
        assert {link.identity for link in csms.links} == {LC, "CS-1"}
        lines = [record for record in daemon.log if "ended on" in record["message"]]
        assert len(lines) == 2
