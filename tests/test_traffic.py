"""What the relays have passed on, as prometheus-client tells it."""

from prometheus_client import CollectorRegistry, generate_latest

from localctl.traffic import BYTES, DIRECTIONS, MESSAGE_TYPES, REJECTIONS, Traffic


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """The value of a series."""
    return registry.get_sample_value(f"localctl_relay_{name}", labels)


def test_all_series_are_there_from_the_start() -> None:
    """With 0: a rate can be told from the first message on."""
    registry = CollectorRegistry()
    Traffic(registry)
    for direction in DIRECTIONS:
        assert value(registry, "bytes_total", direction=direction) == 0
        assert {value(registry, "messages_total", direction=direction, type=kind) for kind in MESSAGE_TYPES} == {0}
    assert {value(registry, "rejected_messages_total", reason=reason) for reason in REJECTIONS} == {0}


def test_each_direction_counts_by_itself() -> None:
    """Messages by type, and bytes."""
    registry = CollectorRegistry()
    traffic = Traffic(registry)
    first, second, back = traffic.to_csms.begin(), traffic.to_csms.begin(), traffic.to_station.begin()
    first[MESSAGE_TYPES.index("call")] += 2
    second[MESSAGE_TYPES.index("send")] += 1
    first[BYTES] += 300
    second[BYTES] += 50
    back[MESSAGE_TYPES.index("callresult")] += 1
    back[BYTES] += 7
    for _ in range(2):  # twice is once
        traffic.to_csms.end(first)
    traffic.rejected["oversize"] += 1
    assert value(registry, "messages_total", direction="to_csms", type="call") == 2
    assert value(registry, "messages_total", direction="to_csms", type="send") == 1
    assert value(registry, "messages_total", direction="to_csms", type="callresult") == 0
    assert value(registry, "messages_total", direction="to_station", type="callresult") == 1
    assert value(registry, "bytes_total", direction="to_csms") == 350
    assert value(registry, "bytes_total", direction="to_station") == 7
    assert value(registry, "rejected_messages_total", reason="oversize") == 1
    assert value(registry, "rejected_messages_total", reason="invalid") == 0


def test_they_are_counters() -> None:
    """As scrapers know them."""
    registry = CollectorRegistry()
    Traffic(registry)
    text = generate_latest(registry).decode()
    for name in ("messages", "bytes", "rejected_messages"):
        assert f"# TYPE localctl_relay_{name}_total counter" in text
