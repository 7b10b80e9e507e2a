"""The machines that the package is for."""

from deploy.package.targets import TARGETS


def test_what_has_no_wheel_comes_from_debian() -> None:
    """On armhf Debian's cffi is depended on and looked at last; elsewhere nothing of Debian's is looked at."""
    armhf, amd64 = TARGETS["armhf"], TARGETS["amd64"]
    assert "python3-cffi-backend" in armhf.depends
    assert armhf.path == ["/usr/lib/localctl", "/usr/lib/python3/dist-packages"]
    assert not armhf.carries("cffi")
    assert (amd64.path, amd64.carries("cffi")) == (["/usr/lib/localctl"], True)


def test_wheels_may_be_for_the_glibc_of_debian_12_at_most() -> None:
    """2.36; libc6 of that version is depended on."""
    for target in TARGETS.values():
        assert max(int(name.split("_")[2]) for name in target.platforms if name.startswith("manylinux_")) == 36
        assert "libc6 (>= 2.36)" in target.depends
