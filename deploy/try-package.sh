#!/bin/sh
# Tries the Debian package in fresh roots of Debian 12 and 13 with the network cut: install, set up, run, a station,
# a file over ports 80 and 21, upgrade, removal, purge. Prints its steps.
#
#   sh deploy/try-package.sh [--roots DIR] [--suites "bookworm trixie"] [DEB NEWER-DEB]
#
# Needs root, for chroot and namespaces. Fresh roots are made once, in DIR (.venv/cache/roots), and used as copies.
# Without packages named, two are built, for this machine. What it cannot show where systemd is not the first process
# (the sandbox, socket activation itself) it says by what systemctl was asked.
set -eu

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
roots=$root/.venv/cache/roots suites='bookworm trixie'
while [ $# -gt 0 ]; do
  case $1 in
    --roots) roots=$2 && shift 2 ;;
    --suites) suites=$2 && shift 2 ;;
    -*)
      sed -n '2,9s/^# \{0,1\}//p' "$0"
      exit 2
      ;;
    *) break ;;
  esac
done
if [ "$(id -u)" -ne 0 ]; then
  echo "deploy/try-package.sh: needs root, for chroot and namespaces" >&2
  exit 1
fi
sh "$root/deploy/packages.sh" debootstrap:debootstrap unshare:util-linux ip:iproute2

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

for suite in $suites; do
  if [ ! -e "$roots/$suite/made" ]; then
    echo "$suite: debootstrap, once, into $roots/$suite"
    rm -rf --one-file-system "${roots:?}/$suite"
    mkdir -p "$roots"
    # What the package depends on is part of the root: with the network cut nothing could be fetched.
    debootstrap --variant=minbase --include=python3,ca-certificates,systemd "$suite" "$roots/$suite" \
      >"$work/debootstrap.log" 2>&1 || {
      cat "$work/debootstrap.log" >&2
      exit 1
    }
    touch "$roots/$suite/made"
  fi
  echo "$suite: Debian $(cat "$roots/$suite/etc/debian_version"), a fresh copy, no network"
  cp -a --reflink=auto "$roots/$suite" "$work/$suite"
  rm "$work/$suite/made"
  cp "$work/first.deb" "$work/second.deb" "$root/deploy/package/trial.py" "$root/deploy/package/steps.sh" "$work/$suite/root/"
  # shellcheck disable=SC2016  # $1 is for the inner shell
  unshare --net --mount --pid --fork --kill-child sh -eu -c '
    ip link set lo up
    mount -t proc proc "$1/proc"
    mount -t tmpfs tmpfs "$1/run"
    exec chroot "$1" /bin/sh /root/steps.sh /root/first.deb /root/second.deb' sh "$work/$suite"
  rm -rf --one-file-system "${work:?}/$suite"
done
echo "all steps went as they must"
