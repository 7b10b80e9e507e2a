"""Each case ends the same directly and through a relay, in front of the same echo, whether frames pass as they are or
are compressed on their way.
"""

from dataclasses import replace
from typing import Final

import pytest

from tests.relay.autobahn import closing, framing, limits, utf8
from tests.relay.autobahn.case import Case
from tests.relay.autobahn.client import Verdict, connected
from tests.relay.autobahn.conftest import DIRECT, NUMBERS, Ways

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES: Final = {case.name: case for module in (framing, utf8, closing, limits) for case in module.cases()}
PLAYED: Final = (DIRECT, "through a relay", "through a relay that would compress")


def expected(case: Case) -> Verdict:
    """What RFC 6455 asks for."""
    return Verdict(list(case.echoes), list(case.pongs), case.code, ended=True)


def stricter(seen: Verdict, case: Case) -> Verdict:
    """``seen``, with the echoes that a hasty case may lack: an end may overtake the last of them, here or there.

    Nothing else may differ: the echoes that came are the first of them, whole, and the code is the same.
    """
    if case.hasty and seen.messages == list(case.echoes)[: len(seen.messages)]:
        return replace(seen, messages=list(case.echoes))
    return seen


@pytest.mark.parametrize("name", CASES)
async def test_the_verdict_is_the_same(ways: Ways, name: str) -> None:
    """RFC 6455, whole (OCPP-J 3.1); Part 4 §6.1: the station cannot tell that we are there."""
    case = CASES[name]
    for way in PLAYED:
        client, agreed = await connected(ways[way], f"/case-{next(NUMBERS)}")
        assert agreed is None
        assert stricter(await client.run(case), case) == expected(case), way


async def test_there_are_enough_of_them() -> None:
    """No two have one name, and no section is empty."""
    numbers = [len(list(module.cases())) for module in (framing, utf8, closing, limits)]
    assert sum(numbers) == len(CASES) > 300
    assert min(numbers) > 30
