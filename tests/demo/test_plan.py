import pytest

from localctl.demo.plan import MIB, Plan, counted, mebibytes


def test_four_stations_show_every_combination() -> None:
    """The default cast has each OCPP version with each protocol, once."""
    cast = [(role.version, role.scheme) for role in Plan(4, MIB).roles]
    assert sorted(cast) == [("1.6", "ftp"), ("1.6", "http"), ("2.0.1", "ftp"), ("2.0.1", "http")]


def test_two_stations_show_every_version_and_protocol() -> None:
    """Fewer stations still show as much as they can."""
    assert [(role.version, role.scheme) for role in Plan(2, MIB).roles] == [("1.6", "http"), ("2.0.1", "ftp")]


@pytest.mark.parametrize(("stations", "pausing"), [(1, ["CS-01"]), (2, ["CS-01", "CS-02"]), (9, ["CS-01", "CS-02"])])
def test_the_first_of_each_protocol_pauses(stations: int, pausing: list[str]) -> None:
    """For each protocol that is spoken there is one download that certainly goes on when the CSMS unpublishes."""
    assert [role.identity for role in Plan(stations, MIB).roles if role.pauses] == pausing


def test_identities_are_told_apart() -> None:
    """The largest demo has a hundred stations of a hundred names."""
    assert len({role.identity for role in Plan(100, MIB).roles}) == 100


def test_a_larger_file_is_given_more_time() -> None:
    """Patience grows with what has to be moved; the pace is such that a person can follow."""
    small, large = Plan(4, 32 * MIB), Plan(4, 2048 * MIB)
    assert 30 < small.patience < 120 < large.patience
    assert small.size / small.wan_rate < 5
    assert small.size / small.lan_rate < 5
    assert large.lan_bytes == 4 * 2048 * MIB


def test_words() -> None:
    """Sizes and counts read as a person writes them."""
    assert mebibytes(3 * MIB // 2) == "1.5 MiB"
    assert [counted(1), counted(2)] == ["1 station", "2 stations"]
