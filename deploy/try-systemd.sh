#!/bin/sh
# Tries localctl under a real systemd: boots a Debian of its own in a container (systemd-nspawn), installs this tree there
# by the commands of deploy/README.md, "Without the package", and plays tests/systemd/machine.py: the whole job on ports
# 21, 80 and 8887, restarts, kills, a process that hangs, a wrong configuration, ports that are taken; then journeys of the
# tests under the very sandbox of localctl.service.
#
#   sh deploy/try-systemd.sh [SUITE]     bookworm unless told otherwise; trixie works as well
#
# Needs root, debootstrap and systemd-container, which it installs, about 1 GB in .venv/cache/ and, at the first run,
# Debian's packages and PyPI. The machine has no network but its own loopback and leaves nothing outside of .venv/.
set -eu

suite=${1:-bookworm}
root=$(cd -- "$(dirname -- "$0")/.." && pwd)
work=$root/.venv/cache/machine-$suite
base=$work/base wheels=$work/wheels out=$work/out

say() { echo "== $*"; }

inside() { # a command in the base, with this machine's network and its way to PyPI
  # shellcheck disable=SC2046  # each is several words
  systemd-nspawn --quiet --directory="$base" --register=no --keep-unit --pipe --bind-ro="$root:/srv/localctl" \
    --bind="$wheels:/srv/wheels" --bind-ro=/etc/ssl/certs --bind-ro=/etc/resolv.conf \
    $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/--setenv=\1/p') \
    $(for folder in ${PIP_FIND_LINKS:-}; do [ ! -d "$folder" ] || echo "--bind-ro=$folder"; done) \
    --setenv=PYTHONDONTWRITEBYTECODE=1 "$@" </dev/null
}

sh "$root/deploy/machine.sh" make "$base" "$suite" "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,`
  `curl,lftp,wget,busybox,iproute2,procps"
mkdir -p "$wheels" "$out"

stamp=$wheels/for-$(cksum <"$root/pyproject.toml" | tr -d ' ')
if [ ! -e "$stamp" ]; then
  say "What localctl and its tests need of PyPI, as wheels"
  rm -rf "${wheels:?}"/*
  inside sh -euc '
    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip wheel -q -w /srv/wheels "/srv/localctl[test]" hatchling
    rm -rf /tmp/venv /srv/wheels/localctl-*'
  : >"$stamp"
fi

say "The machine"
rm -rf "${out:?}"/*
cp "$root/tests/systemd/machine.sh" "$out/play.sh"
exec sh "$root/deploy/machine.sh" boot "$base" "$out" --bind-ro="$root:/srv/localctl" --bind-ro="$wheels:/srv/wheels"
