"""The table of questions."""

from pydantic import BaseModel

from localctl.config import Config
from localctl.faults import _owners
from localctl.setup.place import Place
from localctl.setup.questions import QUESTIONS

NOWHERE = Place({}, "gw", ("192.0.2.1",), low_ports=False)
NEEDED = ["csms_url", "identity", "profile", "password", "csms_cert", "csms_key", "wss_key", "https_key"]


def test_each_question_is_a_flag_of_its_own() -> None:
    """No two have one name; the secret's flag names a file: a command line is no place for it."""
    flags = [question.flag for question in QUESTIONS]
    assert len(set(flags)) == len(flags)
    assert "--password-file" in flags
    assert all(flag == flag.lower() and "_" not in flag for flag in flags)


def test_the_keys_are_the_configuration_s() -> None:
    """What a question is about exists."""

    def has(model: type[BaseModel], key: str) -> bool:
        return f"{key}" in set(_owners(model, key.rpartition(".")[2]))

    unknown = [key for question in QUESTIONS for key in question.keys if not has(Config, key)]
    assert unknown == []


def test_only_what_the_site_alone_knows_has_to_be_answered() -> None:
    """Everything else has a default on a machine that knows nothing."""
    assert [each.name for each in QUESTIONS if each.default({}, NOWHERE) is None] == NEEDED


def test_what_is_asked_is_explained() -> None:
    """A question that a person meets has a line or two that explain it; what is not always asked says what it needs."""
    assert [each.name for each in QUESTIONS if not each.quiet and not 0 < len(each.why.splitlines()) <= 2] == []
    assert [each.name for each in QUESTIONS if not each.asked({}) and not each.goes_with] == []


def test_an_identity_is_offered_and_not_taken() -> None:
    """The host's name may be the identity: a person says so."""
    [identity] = [each for each in QUESTIONS if each.name == "identity"]
    assert (identity.default({}, NOWHERE), identity.offered({}, NOWHERE)) == (None, "gw")
