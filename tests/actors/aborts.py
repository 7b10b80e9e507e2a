"""Every way in which an FTP client breaks off a transfer, each a blocking call that checks the replies."""

import socket

from tests.actors.wire import Talk, read_all, reset


def abor(talk: Talk, path: str) -> None:
    """ABOR in mid-transfer: 426 for the transfer, 226 for itself, and the session goes on."""
    with talk.begin(path):
        assert talk("ABOR").startswith("426")
        assert talk.reply().startswith("226")


def abor_behind_telnet_codes(talk: Talk, path: str) -> None:
    """ABOR as RFC 959 asks for it: behind Telnet IP and Synch, urgent."""
    with talk.begin(path):
        talk.sock.sendall(b"\xff\xf4")
        talk.sock.sendall(b"\xff\xf2", socket.MSG_OOB)
        assert talk("ABOR").startswith("426")
        assert talk.reply().startswith("226")


def abor_while_waiting(talk: Talk, path: str) -> None:
    """ABOR before the data connection came: the waiting transfer is given up."""
    assert talk("EPSV").startswith("229")
    assert talk(f"RETR {path}").startswith("150")
    assert talk("ABOR").startswith("426")
    assert talk.reply().startswith("225")


def close_data(talk: Talk, path: str) -> None:
    """The client closes the data connection in mid-transfer."""
    talk.begin(path).close()
    assert talk.reply().startswith("426")


def reset_data(talk: Talk, path: str) -> None:
    """The client resets the data connection in mid-transfer."""
    reset(talk.begin(path))
    assert talk.reply().startswith("426")


def log_in_again(talk: Talk, path: str) -> None:
    """USER while a transfer waits for its data connection."""
    assert talk("EPSV").startswith("229")
    assert talk(f"RETR {path}").startswith("150")
    assert talk("USER anonymous").startswith("426")
    assert talk.reply().startswith("331")
    assert talk("PASS x").startswith("230")


def vanish_in_transfer(talk: Talk, path: str) -> None:
    """Both connections go."""
    talk.begin(path).close()
    talk.close()


def vanish_on_the_control_connection(talk: Talk, path: str) -> None:
    """The control connection goes, and takes the transfer along."""
    with talk.begin(path) as data:
        talk.close()
        read_all(data)


def vanish_while_waiting(talk: Talk, path: str) -> None:
    """The client goes before it opened the data connection."""
    assert talk("EPSV").startswith("229")
    assert talk(f"RETR {path}").startswith("150")
    talk.close()


def quit_while_waiting(talk: Talk, path: str) -> None:
    """QUIT before the data connection came."""
    assert talk("EPSV").startswith("229")
    assert talk(f"RETR {path}").startswith("150")
    assert talk("QUIT").startswith("221")
    talk.close()


ABORTS = (abor, abor_behind_telnet_codes, abor_while_waiting, close_data, reset_data, log_in_again)  # the session lives
VANISHING = (vanish_in_transfer, vanish_on_the_control_connection, vanish_while_waiting, quit_while_waiting)
