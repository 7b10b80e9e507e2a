from pathlib import PurePath

import pytest

from localctl.serve.paths import Folder, find, find_file, path_of
from localctl.store.catalogue import Catalogue, PublishedFile

MD5 = "0123456789abcdef0123456789abcdef"
FILE = PublishedFile(MD5, "fw.bin", PurePath("/store/fw.bin"), 10, "00" * 32, 5.0)


@pytest.fixture
def catalogue() -> Catalogue:
    stocked = Catalogue(1)
    stocked.add(FILE)
    return stocked


@pytest.mark.parametrize("path", [f"/firmware/{MD5}/fw.bin", f"/firmware/{MD5.upper()}/fw.bin"])
def test_a_published_path_is_found_in_either_case(catalogue: Catalogue, path: str) -> None:
    """The checksum is published in lower case and may be asked for in upper case."""
    assert find_file(catalogue, path) is FILE


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "*",
        "/firmware",
        f"/firmware/{MD5}",
        f"/firmware/{MD5}/",
        f"/firmware/{MD5}/fw.bin/",
        f"//firmware/{MD5}/fw.bin",
        f"/firmware//{MD5}/fw.bin",
        f"firmware/{MD5}/fw.bin",
        f"/Firmware/{MD5}/fw.bin",
        f"/firmware/{MD5}/FW.BIN",
        f"/firmware/{MD5}/fw.bin?x=1",
        f"/firmware/{MD5}/fw%2ebin",
        f"/firmware/{MD5}%2ffw.bin",
        f"/firmware/{MD5}/./fw.bin",
        f"/firmware/{MD5}/../{MD5}/fw.bin",
        f"/firmware/{MD5}/fw.bin\x00",
        f"/firmware/{MD5[:-1]}/fw.bin",
        f"/firmware/{'f' * 32}/fw.bin",
        "/firmware/../../etc/passwd",
        f"/firmware/{MD5}/{'a' * 400}",
    ],
)
def test_any_other_path_is_no_file(catalogue: Catalogue, path: str) -> None:
    """A path is compared whole: no dots, escapes, slashes or NUL lead to a file."""
    assert find_file(catalogue, path) is None


def test_folders_are_made_up_from_the_catalogue(catalogue: Catalogue) -> None:
    """An FTP client walks from the root to the file; beside that there is nothing."""
    assert find(catalogue, "/") == Folder(("firmware",), 5.0)
    assert find(catalogue, "/firmware") == Folder([MD5], 5.0)
    assert find(catalogue, f"/firmware/{MD5.upper()}") == Folder(("fw.bin",), 5.0)
    assert find(catalogue, f"/firmware/{MD5}/fw.bin") is FILE
    assert find(catalogue, "/etc") is None
    assert find(catalogue, f"/firmware/{MD5}/other") is None
    assert find(catalogue, f"/firmware/{MD5}/fw.bin/more") is None
    assert find(catalogue, f"/firmware/{'f' * 32}") is None
    assert find(Catalogue(1), "/firmware") == Folder([], 0.0)


def test_the_whole_url_stands_for_its_path() -> None:
    """RFC 9112 3.2.2: a server accepts the absolute form, whatever host it names."""
    assert path_of("http://10.0.0.1:8080/firmware/x") == "/firmware/x"
    assert path_of("HTTP://host/") == "/"
    assert path_of("HTTPS://10.0.0.1/firmware/x") == "/firmware/x"
    assert path_of("http://host") == ""
    assert path_of("/http://host/firmware") == "/http://host/firmware"
