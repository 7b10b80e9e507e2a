import hashlib
from base64 import b64decode
from pathlib import PurePath
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.serve.http_headers import CONSULTED, Answer, answer, one_range
from localctl.store.catalogue import PublishedFile

MD5: Final = "0123456789abcdef0123456789abcdef"
SHA256: Final = hashlib.sha256(b"whatever").hexdigest()
FILE: Final = PublishedFile(MD5, "fw.bin", PurePath("/store/fw.bin"), 1000, SHA256, 784111777.9)
TAG: Final = f'"{MD5}"'
DATE: Final = "Sun, 06 Nov 1994 08:49:37 GMT"  # 784111777, the date of RFC 9110's own examples
EARLIER: Final = "Sun, 06 Nov 1994 08:49:36 GMT"
LATER: Final = "Sun, 06 Nov 1994 08:49:38 GMT"
RFC_850: Final = "Sunday, 06-Nov-94 08:49:37 GMT"
ASCTIME: Final = "Sun Nov  6 08:49:37 1994"


def test_a_whole_file_is_described() -> None:
    """GET without conditions: 200, every header that the interface promises, all bytes."""
    got = answer("GET", {}, FILE)
    assert (got.status, got.start, got.count) == (200, 0, 1000)
    assert got.headers == {
        "ETag": TAG,
        "Last-Modified": DATE,
        "Accept-Ranges": "bytes",
        "Content-Length": "1000",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment; filename=fw.bin",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": got.headers["Repr-Digest"],
    }


def test_the_digest_is_of_the_whole_file() -> None:
    """RFC 9530: Repr-Digest is the SHA-256 of the file in base64, of the whole file in a 206 too; MD5 is not in it."""
    for asked in ({}, {"Range": "bytes=1-2"}):
        digest = answer("GET", asked, FILE).headers["Repr-Digest"]
        assert digest.startswith("sha-256=:")
        assert digest.endswith(":")
        assert b64decode(digest[9:-1]).hex() == SHA256


def test_head_is_get_without_the_bytes() -> None:
    """HEAD says what GET would, and knows no ranges (RFC 9110 14.2)."""
    whole = answer("GET", {}, FILE)
    assert answer("HEAD", {}, FILE) == Answer(200, whole.headers, 0, 0)
    assert answer("HEAD", {"Range": "bytes=0-9"}, FILE) == Answer(200, whole.headers, 0, 0)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"])
def test_other_methods_are_refused(method: str) -> None:
    """405 names the methods that there are."""
    assert answer(method, {}, FILE) == Answer(405, {"Allow": "GET, HEAD"})


@pytest.mark.parametrize(
    ("text", "start", "count"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 1000),
        ("bytes=500-", 500, 500),
        ("bytes=999-", 999, 1),
        ("bytes=200-299", 200, 100),
        ("bytes=900-5000", 900, 100),
        ("bytes=-100", 900, 100),
        ("bytes=-5000", 0, 1000),
        ("Bytes=1-2", 1, 2),
        ("bytes= 1-2 ", 1, 2),
        ("bytes=0-" + "9" * 50, 0, 1000),
    ],
)
def test_one_range_is_206(text: str, start: int, count: int) -> None:
    """One range: those bytes, and where they are in the whole."""
    got = answer("GET", {"Range": text}, FILE)
    assert (got.status, got.start, got.count) == (206, start, count)
    assert got.headers["Content-Range"] == f"bytes {start}-{start + count - 1}/1000"
    assert got.headers["Content-Length"] == str(count)


@pytest.mark.parametrize("text", ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=" + "9" * 50 + "-"])
def test_an_unsatisfiable_range_is_416(text: str) -> None:
    """A range outside of the file: 416 says how large the file is."""
    got = answer("GET", {"Range": text}, FILE)
    assert (got.status, got.headers["Content-Range"], got.count) == (416, "bytes */1000", 0)


@pytest.mark.parametrize(
    "text",
    [
        "bytes=0-9,20-29",
        "bytes=0-9, -5",
        "bytes=9-0",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-2x",
        "bytes 0-9",
        "items=0-9",
        "0-9",
        "",
        "bytes=٣-٤",
        "bytes=+1-2",
        "bytes=0-" + "9" * 5000,
    ],
)
def test_several_ranges_or_none_that_is_one_get_the_whole_file(text: str) -> None:
    """Several ranges, another unit, or no range at all: 200 and the whole file."""
    assert answer("GET", {"Range": text}, FILE) == answer("GET", {}, FILE)


@pytest.mark.parametrize("validator", [TAG, DATE, RFC_850, ASCTIME, f" {TAG} "])
def test_if_range_holds(validator: str) -> None:
    """If-Range with our ETag, or exactly our date in any of its formats: the range."""
    assert answer("GET", {"Range": "bytes=5-", "If-Range": validator}, FILE).status == 206


@pytest.mark.parametrize("validator", ['"other"', f"W/{TAG}", MD5, EARLIER, LATER, "", "nonsense", "*"])
def test_if_range_does_not_hold(validator: str) -> None:
    """If-Range with anything else: the whole file, even where the range could not be given."""
    assert answer("GET", {"Range": "bytes=5-", "If-Range": validator}, FILE).status == 200
    assert answer("GET", {"Range": "bytes=5000-", "If-Range": validator}, FILE).status == 200


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"If-Match": TAG}, 200),
        ({"If-Match": f'"a", {TAG}'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": f"W/{TAG}"}, 412),
        ({"If-Match": ""}, 412),
        ({"If-Match": TAG, "If-Unmodified-Since": EARLIER}, 200),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": EARLIER}, 412),
        ({"If-Unmodified-Since": "nonsense"}, 200),
        ({"If-None-Match": TAG}, 304),
        ({"If-None-Match": f"W/{TAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": f'"a",{TAG}'}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": DATE}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": LATER}, 304),
        ({"If-Modified-Since": EARLIER}, 200),
        ({"If-Modified-Since": "nonsense"}, 200),
        ({"If-Match": '"other"', "If-None-Match": TAG}, 412),
        ({"If-None-Match": TAG, "Range": "bytes=0-1"}, 304),
        ({"If-Match": TAG, "Range": "bytes=0-1"}, 206),
    ],
)
def test_preconditions_in_the_order_of_the_standard(asked: dict[str, str], status: int) -> None:
    """RFC 9110 13.2.2: match, unmodified, none-match, modified, and only then the range."""
    assert answer("GET", asked, FILE).status == status
    assert answer("HEAD", asked, FILE).status == (200 if status == 206 else status)


def test_not_modified_repeats_the_validators() -> None:
    """A 304 carries what a cache needs, and no body."""
    assert answer("GET", {"If-None-Match": TAG}, FILE) == Answer(304, {"ETag": TAG, "Last-Modified": DATE})


def test_an_empty_file_has_no_ranges() -> None:
    """Of nothing, no byte can be asked for; the whole of it can."""
    empty = PublishedFile(MD5, "fw.bin", PurePath("/store/fw.bin"), 0, SHA256, 0.0)
    assert answer("GET", {"Range": "bytes=0-"}, empty).status == 416
    assert answer("GET", {"Range": "bytes=-1"}, empty).status == 416
    assert answer("GET", {}, empty).headers["Content-Length"] == "0"


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_range_is_what_slicing_gives(size: int, first: int, last: int) -> None:
    """Every range with both ends is the slice of the same bytes, or ignored where it is reversed."""
    content = bytes(range(size))
    got = one_range(f"bytes={first}-{last}", size)
    if last < first:
        assert got is None
    else:
        assert got is not None
        assert content[got[0] : got[0] + got[1]] == content[first : last + 1]


@given(st.dictionaries(st.sampled_from(CONSULTED), st.text()))
def test_no_header_can_upset_us(asked: dict[str, str]) -> None:
    """Whatever a station writes into these headers, it gets one of the answers that there are."""
    got = answer("GET", asked, FILE)
    assert got.status in {200, 206, 304, 412, 416}
    assert 0 <= got.start <= got.start + got.count <= FILE.size
