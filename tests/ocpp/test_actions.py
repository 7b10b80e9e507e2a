"""The actions that OCPP names."""

from importlib.resources import files

import pytest

from localctl.ocpp.actions import KNOWN, SUBPROTOCOLS, Version
from localctl.ocpp.messages import UNDERSTOOD


@pytest.mark.parametrize(("version", "folder"), [("2.0.1", "v201"), ("2.1", "v21")])
def test_known_is_what_the_official_schemas_describe(version: Version, folder: str) -> None:
    """4.3: an action is known where the version has a schema for it, SEND-only ones included."""
    names = (path.name.removesuffix(".json") for path in (files("ocpp") / folder / "schemas").iterdir())
    actions = {name.removesuffix("Request") for name in names if not name.endswith("Response")}
    assert KNOWN[version] == actions


def test_every_action_that_we_understand_is_known() -> None:
    """4.3: none is done that its version does not know."""
    assert all(actions >= UNDERSTOOD for actions in KNOWN.values())


def test_every_subprotocol_speaks_a_known_version() -> None:
    """3.1.2: the name of the subprotocol is the version's."""
    assert {f"ocpp{version}": version for version in KNOWN} == SUBPROTOCOLS
