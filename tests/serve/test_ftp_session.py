import ftplib
import logging
import os
import re
import resource
from collections.abc import Iterator
from typing import Final

import pytest
from pyftpdlib.handlers import FTPHandler

from localctl.networks import parse_network
from localctl.serve.ftp_session import COMMANDS
from localctl.values import Address
from tests.actors.wire import PATIENCE_SECONDS, Talk, read_all
from tests.serve.conftest import NAME, Shop, no_descriptor_lost

REMOVED: Final = sorted(set(FTPHandler.proto_cmds) - set(COMMANDS))


@pytest.fixture
def talk(shop: Shop) -> Iterator[Talk]:
    talk = Talk(shop.ftp()[1])
    yield talk
    talk.close()


@pytest.mark.parametrize("user", ["anonymous", "ftp", "Anonymous", "FTP"])
def test_anonymous_has_two_names(shop: Shop, user: str) -> None:
    """Either name, in either case, with any password."""
    talk = Talk(shop.ftp()[1], login=False)
    assert talk(f"USER {user}").startswith("331")
    assert talk("PASS secret").startswith("230")
    talk.close()


def test_others_may_not_log_in(shop: Shop) -> None:
    """Another user is refused at once, the third time with the connection."""
    talk = Talk(shop.ftp()[1], login=False)
    for _ in range(3):
        assert talk("USER admin").startswith("530")
    assert talk.reply() == ""
    talk.close()


def test_nothing_is_done_before_login(shop: Shop) -> None:
    """Files are for who has logged in, be it as nobody."""
    talk = Talk(shop.ftp()[1], login=False)
    for line in ("PASV", "EPSV", "LIST", f"RETR {shop.path}", f"SIZE {shop.path}", "CWD /firmware"):
        assert talk(line).startswith("530"), line
    assert talk("PASS x").startswith("503")
    talk.close()


def test_the_banner_says_little(shop: Shop) -> None:
    """Neither a version nor a library is told."""
    talk = Talk(shop.ftp()[1], login=False)
    assert talk.greeting == "220 localctl ready."
    talk.close()


@pytest.mark.parametrize(("near", "far"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_who_is_in_no_network_is_turned_away(shop: Shop, near: str, far: str) -> None:
    """421 in place of the greeting (RFC 959 5.4 knows no 530 there), and closed; the others are greeted."""
    shop.catalogue.networks = (parse_network(near),)
    port = shop.ftp(host="::")[1].port
    with no_descriptor_lost():
        turned_away = Talk(Address(far, port), login=False)
        assert turned_away.greeting.startswith("421")
        assert turned_away.reply() == ""
        turned_away.close()
    greeted = Talk(Address(near, port), login=False)
    assert greeted.greeting.startswith("220")
    greeted.close()
    assert shop.count("firmware_refused_total", protocol="ftp", reason="network") == 1


@pytest.mark.parametrize("command", REMOVED)
def test_commands_that_write_or_dial_are_unknown(talk: Talk, command: str) -> None:
    """What writes, and PORT and EPRT, get 500 or 501, and nothing happens."""
    assert re.match(r"50[01] ", talk(f"{command} 127,0,0,1,1,1"))
    assert talk("NOOP").startswith("200")


def test_what_is_removed_is_all_that_writes() -> None:
    """Every command of pyftpdlib that needs a right to write is gone, and active mode is."""
    writing = {name for name, rules in FTPHandler.proto_cmds.items() if (rules["perm"] or "r") not in "elr"}
    assert writing | {"PORT", "EPRT"} <= set(REMOVED)


def test_features_are_told(talk: Talk) -> None:
    """FEAT names what resuming needs, and nothing that is not there."""
    told = talk("FEAT")
    for feature in ("EPSV", "MDTM", "MLST", "REST STREAM", "SIZE"):
        assert f" {feature}" in told
    assert "EPRT" not in told
    assert "MFMT" not in told


@pytest.mark.parametrize("kind", ["", "TYPE A", "TYPE I"])
def test_size_and_time_in_either_type(talk: Talk, shop: Shop, kind: str) -> None:
    """SIZE and MDTM answer in any type, as RFC 3659 writes them."""
    if kind:
        assert talk(kind).startswith("200")
    assert talk(f"SIZE {shop.path}") == f"213 {shop.file.size}"
    assert talk(f"MDTM {shop.path}") == "213 20231114221320"
    assert talk("REST 5").startswith("350")


def test_folders_can_be_walked(talk: Talk, shop: Shop) -> None:
    """CWD into each folder, in either case of the checksum, up again, and PWD says where."""
    assert talk("CWD firmware").startswith("250")
    assert talk(f"CWD {shop.file.checksum.upper()}").startswith("250")
    assert talk(f"SIZE {NAME}") == f"213 {shop.file.size}"
    assert talk("CDUP").startswith("250")
    assert '"/firmware"' in talk("PWD")
    assert talk("CWD ..").startswith("250")
    assert '"/"' in talk("XPWD")


@pytest.mark.parametrize("path", ["/etc", "../..//etc", "/firmware/x", "/firmware/%2e%2e", "a" * 400, "x\x00y"])
def test_anything_else_is_550(talk: Talk, path: str) -> None:
    """What is not published is not there, whatever it is called."""
    for command in ("SIZE", "MDTM", "CWD", "MLST"):
        assert talk(f"{command} {path}").startswith("550"), command
    with talk.data():
        assert talk(f"RETR {path}").startswith("550")


def test_a_folder_cannot_be_fetched(talk: Talk, shop: Shop) -> None:
    """RETR and SIZE are for files."""
    with talk.data():
        assert talk("RETR /firmware").startswith("550")
    assert talk("SIZE /firmware").startswith("550")
    assert shop.count("firmware_refused_total", protocol="ftp", reason="not_found") == 1


@pytest.mark.parametrize("listing", ["LIST", "LIST -la", "NLST", "NLST -l", "MLSD", "LIST -al FOLDER", "NLST FOLDER"])
def test_folders_are_listed(talk: Talk, shop: Shop, listing: str) -> None:
    """Every way to list shows the one file, with the options of ls or without."""
    talk(f"CWD /firmware/{shop.file.checksum}")
    with talk.data() as data:
        assert re.match(r"1[25]\d", talk(listing.replace("FOLDER", f"/firmware/{shop.file.checksum}")))
        got = data.makefile("rb").read().decode()
    assert talk.reply().startswith("226")
    assert got.count("\n") == 1
    assert got.rstrip("\r\n").endswith(NAME)
    assert (str(shop.file.size) in got) == (not listing.startswith("NLST"))


def test_a_line_may_end_without_carriage_return(talk: Talk, shop: Shop) -> None:
    """A bare LF ends a line as well."""
    talk.sock.sendall(f"SIZE {shop.path}\nNOOP\r\n".encode())
    assert talk.reply() == f"213 {shop.file.size}"
    assert talk.reply().startswith("200")


def test_several_lines_in_one_segment(talk: Talk, shop: Shop) -> None:
    """Commands sent ahead of their replies are answered in order."""
    talk.sock.sendall(f"TYPE I\r\nSIZE {shop.path}\r\nQUIT\r\nNOOP\r\n".encode())
    assert [talk.reply()[:3] for _ in range(4)] == ["200", "213", "221", ""]


def test_data_needs_a_connection_first(talk: Talk, shop: Shop) -> None:
    """RETR without PASV: 425 at once, rather than a station that waits, and no loan."""
    assert talk(f"RETR {shop.path}").startswith("425")
    assert talk("LIST").startswith("425")
    assert shop.catalogue.loans() == ()


@pytest.mark.parametrize("command", ["EPSV", "PASV"])
def test_without_descriptors_there_is_no_data_connection(talk: Talk, shop: Shop, command: str) -> None:
    """Row 40: 425, and the session goes on; once some are free, so does everything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free_descriptor(), hard))
    try:
        assert talk(command).startswith("425")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with talk.data() as data:
        assert talk(f"RETR {shop.path}").startswith("1")
        assert read_all(data) == shop.content
    assert talk.reply().startswith("226")
    assert shop.count("firmware_refused_total", protocol="ftp", reason="busy") == 1


def test_one_transfer_at_a_time(talk: Talk, shop: Shop) -> None:
    """A second RETR while one waits or runs: 450, and the first is not disturbed."""
    with talk.data() as data:
        assert talk(f"RETR {shop.path}").startswith("1")
        assert talk(f"RETR {shop.path}").startswith("450")
        assert talk("LIST").startswith("450")
        assert data.makefile("rb").read() == shop.content
    assert talk.reply().startswith("226")


def test_rest_is_for_the_next_transfer(talk: Talk, shop: Shop) -> None:
    """The position is where the next RETR begins, and only that one."""
    for start in (shop.file.size - 7, 0, shop.file.size):
        if start:
            assert talk(f"REST {start}").startswith("350")
        with talk.data() as data:
            assert talk(f"RETR {shop.path}").startswith("1")
            assert data.makefile("rb").read() == shop.content[start:]
        assert talk.reply().startswith("226")


def test_rest_beyond_the_end(talk: Talk, shop: Shop) -> None:
    """554, the size in it, and no loan; the session goes on."""
    talk(f"REST {shop.file.size + 1}")
    with talk.data():
        assert talk(f"RETR {shop.path}") == f"554 The file has {shop.file.size} bytes."
    assert shop.catalogue.loans() == ()
    with talk.data() as data:
        talk(f"RETR {shop.path}")
        assert data.makefile("rb").read() == shop.content
    assert talk.reply().startswith("226")


def test_too_many_transfers_end_the_session(talk: Talk, shop: Shop) -> None:
    """Beyond max_transfers: 421, when to come again, and the control connection closed."""
    shop.catalogue.max_transfers = 0
    with talk.data():
        assert talk(f"RETR {shop.path}") == "421 Service not available. Try again in 30 seconds."
        assert talk.reply() == ""
    assert shop.count("firmware_refused_total", protocol="ftp", reason="busy") == 1


def test_a_silent_session_is_ended(shop: Shop) -> None:
    """Nothing said for the idle timeout: 421 and closed."""
    talk = Talk(shop.ftp(idle_timeout=0.2)[1])
    assert talk.reply().startswith("421")
    assert talk.reply() == ""
    talk.close()


def test_pasv_is_for_ipv4(shop: Shop) -> None:
    """Over IPv6 PASV is refused and EPSV serves; over IPv4, PASV tells the address that the client reached."""
    _, address = shop.ftp(host="::")
    for host, code in (("::1", "425"), ("127.0.0.1", "227")):
        talk = Talk(Address(host, address.port))
        reply = talk("PASV")
        assert reply.startswith(code)
        assert code == "425" or "(127,0,0,1," in reply
        with talk.data() as data:
            talk(f"RETR {shop.path}")
            assert data.makefile("rb").read() == shop.content
        assert talk.reply().startswith("226")
        talk.close()


def test_two_servers_share_nothing(shop: Shop) -> None:
    """A server that refuses does not make another refuse."""
    first, first_address = shop.ftp()
    _, second_address = shop.ftp()
    first.refuse()
    refused = Talk(first_address, login=False)
    assert refused.greeting.startswith("421")
    refused.close()
    talk = Talk(second_address)
    assert talk("NOOP").startswith("200")
    talk.close()


def test_no_password_is_logged(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """With everything logged, what a client sends as its password is not."""
    caplog.set_level(logging.DEBUG)
    _, address = shop.ftp()
    with ftplib.FTP() as client:
        client.connect(address.host, address.port, PATIENCE_SECONDS)
        client.login("anonymous", "s3cret@example")
        client.quit()
    assert "USER anonymous" in caplog.text
    assert "s3cret" not in caplog.text


def lowest_free_descriptor() -> int:
    """The number that the next descriptor of this process gets."""
    descriptor = os.open("/dev/null", os.O_RDONLY)
    os.close(descriptor)
    return descriptor
