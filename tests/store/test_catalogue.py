"""The catalogue and its loans, in one thread and in many."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import PurePath

import pytest

from localctl.errors import NotPublished, TransfersExhausted
from localctl.store.catalogue import Catalogue, Loan, PublishedFile, Withdrawal

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
THREADS = 16


def published(checksum: str = MD5, name: str = "a.bin") -> PublishedFile:
    """A file as the intake hands it over."""
    return PublishedFile(checksum, name, PurePath("/state/firmware", checksum, name), 10, "0" * 64, 1.0)


def lend(catalogue: Catalogue, peer: str = "10.0.0.1", checksum: str = MD5, name: str = "a.bin") -> Loan:
    """A transfer over HTTP begins."""
    return catalogue.lend(checksum, name, "http", peer, 2.0)


@pytest.fixture
def catalogue() -> Catalogue:
    """A catalogue with one file, for ten transfers."""
    made = Catalogue(max_transfers=10)
    made.add(published())
    return made


def at_once(work: Callable[[int], object], times: int) -> None:
    """Do ``work`` from many threads that start together; raises what any of them raises."""
    start = threading.Barrier(THREADS)

    def thread(number: int) -> None:
        start.wait()
        for turn in range(times):
            work(number * times + turn)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(thread, number) for number in range(THREADS)]:
            done.result()


def test_published_file_is_found_and_lent(catalogue: Catalogue) -> None:
    """A loan carries what the serving thread and the status page need."""
    loan = lend(catalogue)
    assert catalogue.find(MD5) == loan.file == published()
    assert (loan.protocol, loan.peer, loan.started_at, loan.sent) == ("http", "10.0.0.1", 2.0, 0)
    assert catalogue.loans() == (loan,)


@pytest.mark.parametrize(("checksum", "name"), [("0" * 32, "a.bin"), (MD5, "b.bin"), (MD5.upper(), "a.bin"), ("", "")])
def test_only_the_published_path_is_lent(catalogue: Catalogue, checksum: str, name: str) -> None:
    """Checksum and name must both be as published (faults, row 37)."""
    with pytest.raises(NotPublished):
        lend(catalogue, checksum=checksum, name=name)
    assert catalogue.loans() == ()


def test_file_in_use_stays(catalogue: Catalogue) -> None:
    """L04.FR.04: a station is downloading it, so it is not withdrawn; after the last transfer it is."""
    first, second = lend(catalogue), lend(catalogue)
    assert catalogue.withdraw(MD5) == (Withdrawal.LENT, None)
    catalogue.end(first)
    assert catalogue.withdraw(MD5) == (Withdrawal.LENT, None)
    assert catalogue.find(MD5) is not None
    catalogue.end(second)
    assert catalogue.withdraw(MD5) == (Withdrawal.WITHDRAWN, published())


def test_withdrawn_file_is_gone(catalogue: Catalogue) -> None:
    """L04.FR.01: nothing of it can be lent; L04.FR.03: withdrawn again, there is no such firmware."""
    catalogue.withdraw(MD5)
    assert catalogue.find(MD5) is None
    assert catalogue.files() == ()
    with pytest.raises(NotPublished):
        lend(catalogue)
    assert catalogue.withdraw(MD5) == (Withdrawal.ABSENT, None)


def test_withdrawals_are_the_words_of_ocpp() -> None:
    """UnpublishFirmwareStatusEnumType."""
    assert {outcome.value for outcome in Withdrawal} == {"Unpublished", "DownloadOngoing", "NoFirmware"}


def test_transfer_of_another_file_does_not_hold_this_one(catalogue: Catalogue) -> None:
    """A loan holds its own file alone."""
    catalogue.add(published("0" * 32, "b.bin"))
    lend(catalogue, checksum="0" * 32, name="b.bin")
    assert catalogue.withdraw(MD5)[0] is Withdrawal.WITHDRAWN


def test_transfer_ended_twice_ends_once(catalogue: Catalogue) -> None:
    """A server may end a loan on two paths; another's loan is not ended by it."""
    first, second = lend(catalogue), lend(catalogue)
    catalogue.end(first)
    catalogue.end(first)
    assert catalogue.loans() == (second,)


def test_damaged_file_is_dropped_in_spite_of_its_transfers(catalogue: Catalogue) -> None:
    """What is no longer whole is lent no more; who is at it keeps the loan, and its end finds nothing wrong."""
    loan = lend(catalogue)
    assert catalogue.drop(MD5) == published()
    assert catalogue.drop(MD5) is None
    with pytest.raises(NotPublished):
        lend(catalogue)
    assert catalogue.loans() == (loan,)
    assert catalogue.withdraw(MD5) == (Withdrawal.ABSENT, None)
    catalogue.end(loan)
    assert catalogue.loans() == ()


def test_files_and_loans_are_told_oldest_first(catalogue: Catalogue) -> None:
    """As the status page shows them."""
    other = published("0" * 32)
    catalogue.add(other)
    assert catalogue.files() == (published(), other)
    loans = [lend(catalogue) for _ in range(3)]
    assert list(catalogue.loans()) == loans
    assert [loan.id for loan in loans] == sorted({loan.id for loan in loans})


def test_transfers_have_a_limit(catalogue: Catalogue) -> None:
    """Beyond max_transfers a station is told to come back; a transfer that ends makes room."""
    loans = [lend(catalogue, peer=f"10.0.0.{number}") for number in range(10)]
    with pytest.raises(TransfersExhausted) as caught:
        lend(catalogue)
    assert caught.value.retry_after > 0
    catalogue.end(loans[0])
    assert lend(catalogue) in catalogue.loans()


def test_transfers_of_an_address_have_a_limit() -> None:
    """Beyond max_transfers_per_address the others are not the worse for it."""
    catalogue = Catalogue(max_transfers=10, max_per_address=2)
    catalogue.add(published())
    first = lend(catalogue)
    lend(catalogue)
    with pytest.raises(TransfersExhausted):
        lend(catalogue)
    lend(catalogue, peer="10.0.0.2")
    catalogue.end(first)
    assert lend(catalogue) in catalogue.loans()


def test_unknown_file_is_unknown_also_when_all_transfers_are_taken() -> None:
    """A station that asks for the wrong file is not told to come back for it."""
    catalogue = Catalogue(max_transfers=0)
    with pytest.raises(NotPublished):
        lend(catalogue)


def test_limit_holds_against_many_threads() -> None:
    """Never more transfers than allowed, never a loan twice, and nothing is left over."""
    catalogue = Catalogue(max_transfers=5)
    catalogue.add(published())
    seen: list[int] = []
    most: list[int] = []

    def transfer(number: int) -> None:
        try:
            loan = lend(catalogue, peer=f"10.0.0.{number % 7}")
        except TransfersExhausted:
            return
        seen.append(loan.id)
        most.append(len(catalogue.loans()))
        catalogue.end(loan)

    at_once(transfer, 200)
    assert seen
    assert len(seen) == len(set(seen))
    assert max(most) <= 5
    assert catalogue.loans() == ()


def test_file_is_never_withdrawn_from_under_a_transfer() -> None:
    """L04.FR.04 from many threads: whoever withdraws finds no loan, whoever lends finds the file until its end."""
    catalogue = Catalogue(max_transfers=1000)
    catalogue.add(published())
    wrong: list[str] = []

    def transfer(number: int) -> None:
        if number % 5:
            try:
                loan = lend(catalogue)
            except NotPublished:
                return
            if catalogue.find(MD5) is None:
                wrong.append("withdrawn while lent")
            catalogue.end(loan)
        elif catalogue.withdraw(MD5)[0] is Withdrawal.WITHDRAWN:
            catalogue.add(published())

    at_once(transfer, 200)
    assert wrong == []
    assert catalogue.loans() == ()
    assert catalogue.withdraw(MD5)[0] is Withdrawal.WITHDRAWN


def test_other_limits_hold_for_what_comes() -> None:
    """Transfers under way go on, though they are more than are allowed now; other networks count at once."""
    catalogue = Catalogue(max_transfers=2)
    catalogue.add(published())
    loans = [lend(catalogue), lend(catalogue)]
    catalogue.reconfigure(1, 1, (ip_network("10.0.0.0/8"),))
    assert list(catalogue.loans()) == loans
    assert (catalogue.admits("10.0.0.1"), catalogue.admits("192.0.2.1")) == (True, False)
    catalogue.end(loans[0])
    with pytest.raises(TransfersExhausted):
        lend(catalogue)
    catalogue.reconfigure(2, 0, ())
    assert catalogue.admits("192.0.2.1")
    assert lend(catalogue) in catalogue.loans()
