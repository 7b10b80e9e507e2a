"""What TLS makes of bytes on their way. Rules: lengths in, lengths out.

A record holds at most 16 KiB and is longer than what is in it by a header and a tag (RFC 8446, 5.1 and 5.2; RFC 5246,
6.2.3). How much longer depends on the suite, so what is told here is the most that can have arrived.
"""

from typing import Final

RECORD: Final = 16384
LEAST_ADDED: Final = 21  # header 5, tag 16: ChaCha20 in TLS 1.2; TLS 1.3 adds 22, AES-GCM in TLS 1.2 adds 29


def opened(arrived: int) -> int:
    """The most bytes of a file that ``arrived`` bytes of full records, and a last one, can hold."""
    full, rest = divmod(max(arrived, 0), RECORD + LEAST_ADDED)
    return full * RECORD + max(rest - LEAST_ADDED, 0)
