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
machine=localctl-try-$$

say() { echo "== $*"; }

inside() { # a command in the base, with this machine's network and its way to PyPI
  # shellcheck disable=SC2046  # each is several words
  systemd-nspawn --quiet --directory="$base" --register=no --keep-unit --pipe --bind-ro="$root:/srv/localctl" \
    --bind="$wheels:/srv/wheels" --bind-ro=/etc/ssl/certs --bind-ro=/etc/resolv.conf \
    $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/--setenv=\1/p') \
    $(for folder in ${PIP_FIND_LINKS:-}; do [ ! -d "$folder" ] || echo "--bind-ro=$folder"; done) \
    --setenv=PYTHONDONTWRITEBYTECODE=1 "$@" </dev/null
}

[ "$(id -u)" -eq 0 ] || {
  echo "deploy/try-systemd.sh: run it as root: it boots a container" >&2
  exit 1
}
sh "$root/deploy/packages.sh" debootstrap:debootstrap systemd-nspawn:systemd-container
mkdir -p "$wheels" "$out"

if [ ! -e "$base/localctl-made" ]; then
  say "A Debian $suite, once, in $base"
  rm -rf "$base"
  debootstrap --variant=minbase \
    --include=systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,curl,lftp,wget,busybox,iproute2,procps \
    "$suite" "$base" >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log" >&2
    exit 1
  }
  : >"$base/localctl-made"
fi

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
mkdir -p "$base/etc/systemd/system/graphical.target.wants"
ln -sf ../try.service "$base/etc/systemd/system/graphical.target.wants/try.service"
rm -rf "${out:?}"/*
cp "$root/tests/systemd/machine.sh" "$out/machine.sh"
cat >"$out/try.service" <<'EOF'
[Unit]
Description=tests/systemd/machine.sh
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /srv/out/machine.sh
StandardOutput=append:/srv/out/log
StandardError=append:/srv/out/log
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/srv/out/status; journalctl --no-pager >/srv/out/journal 2>&1; systemctl poweroff --force'
EOF
: >"$out/log"
systemd-nspawn --quiet --directory="$base" --volatile=overlay --boot --machine="$machine" --register=no --keep-unit \
  --private-network --bind-ro="$root:/srv/localctl" --bind-ro="$wheels:/srv/wheels" --bind="$out:/srv/out" \
  --bind-ro="$out/try.service:/etc/systemd/system/try.service" \
  </dev/null >"$out/console" 2>&1 &
container=$!
trap 'kill "$container" 2>/dev/null || true' EXIT
tail -n +1 -f --pid="$container" "$out/log"
wait "$container" || true
trap - EXIT
status=$(cat "$out/status" 2>/dev/null || echo 1)
say "Exit status $status; the machine's journal is in $out/journal"
exit "$status"
