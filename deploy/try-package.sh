#!/bin/sh
# Tries the Debian package in fresh machines of Debian 12 and 13, with systemd as PID 1 and the network cut: install,
# set up, start, a station, a file over ports 80 and 21, reload, upgrade, removal, purge, and beside another web server.
# Prints its steps (deploy/package/trial.py), and ends at the first that does not go as it must.
#
#   sh deploy/try-package.sh [--suites "bookworm trixie"] [DEB NEWER-DEB]
#
# Needs root, debootstrap and systemd-container, which it installs, and about 600 MB in .venv/cache/. A root of each
# Debian is made once and booted as it is: what happens in the machine goes with it. Without packages named, two are
# built, for this machine.
set -eu

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
roots=$root/.venv/cache/roots suites='bookworm trixie'
while [ $# -gt 0 ]; do
  case $1 in
    --suites) suites=$2 && shift 2 ;;
    -*)
      sed -n '2,10s/^# \{0,1\}//p' "$0"
      exit 2
      ;;
    *) break ;;
  esac
done

# What the package depends on is part of a root: with the network cut nothing could be fetched.
for suite in $suites; do
  sh "$root/deploy/machine.sh" make "$roots/$suite" "$suite" systemd,systemd-sysv,dbus,python3,ca-certificates
done

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ $# -eq 2 ]; then
  cp "$1" "$work/first.deb" && cp "$2" "$work/second.deb"
else
  arch=$(dpkg --print-architecture)
  for build in first second; do
    sh "$root/deploy/package.sh" --output "$work/$build" --version "0~trial.$build" "$arch"
    mv "$work/$build"/*.deb "$work/$build.deb"
  done
fi
dpkg-deb -x "$work/first.deb" "$work/unpacked" # the CSMS, the origin and the stations play on a copy of their own

for suite in $suites; do
  out=$root/.venv/cache/trial-$suite
  rm -rf "$out" && mkdir -p "$out"
  echo "exec python3 -IBS /srv/deploy/package/trial.py" >"$out/play.sh"
  echo "$suite: Debian $(cat "$roots/$suite/etc/debian_version"), a fresh machine, no network"
  sh "$root/deploy/machine.sh" boot "$roots/$suite" "$out" --bind-ro="$root/deploy:/srv/deploy" \
    --bind-ro="$work/unpacked/usr/lib/localctl:/srv/actors" --bind-ro="$work/first.deb:/srv/first.deb" \
    --bind-ro="$work/second.deb:/srv/second.deb"
done
echo "all steps went as they must"
