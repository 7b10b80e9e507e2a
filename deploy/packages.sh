#!/bin/sh
# Installs the Debian packages of programs that are missing, and starts nothing.
#
#   sh deploy/packages.sh PROGRAM:PACKAGE[:SERVICE]… PACKAGE…
#
# PROGRAM:PACKAGE is installed where there is no such program; PACKAGE alone is installed in any case. SERVICE is what
# the package would run: it is not started now, and not at the next boot either. Needs root only if something is missing.
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
packages='' services=''
for wanted in "$@"; do
  IFS=: read -r program package service <<EOF
$wanted
EOF
  if [ -z "$package" ]; then
    packages="$packages $program"
  elif ! command -v "$program" >/dev/null; then
    packages="$packages $package"
    services="$services $service"
  fi
done
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "Missing here, by their Debian names:$packages. Install what holds them, and run this again." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Some programs are missing. As root, run this, and then try again:" >&2
  echo "  apt-get install --no-install-recommends$packages" >&2
  exit 1
fi

# invoke-rc.d and deb-systemd-invoke ask this file before they start anything; 101 is "no".
policy=/usr/sbin/policy-rc.d
mark='# put here by deploy/packages.sh for a moment'
log=$(mktemp)
restore() {
  rm -f "$log"
  if grep -qsF "$mark" "$policy"; then rm -f "$policy"; fi
  if [ -e "$policy.aside" ]; then mv "$policy.aside" "$policy"; fi
}
trap restore EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -e "$policy" ] && ! grep -qF "$mark" "$policy"; then mv "$policy" "$policy.aside"; fi
printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
chmod 755 "$policy"

echo "Installing$packages" >&2
install() {
  apt-get -y -o DPkg::Lock::Timeout=300 update &&
    apt-get -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
}
# shellcheck disable=SC2086  # names of packages, a word each
if ! DEBIAN_FRONTEND=noninteractive install $packages >"$log" 2>&1 </dev/null; then
  cat "$log" >&2
  echo "apt-get could not install:$packages. What it says is above." >&2
  exit 1
fi
for service in $services; do
  systemctl disable "$service" >/dev/null 2>&1 || true # there is none where systemd is not
done
