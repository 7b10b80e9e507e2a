#!/bin/sh
# A Debian of its own in a container (systemd-nspawn), for deploy/try-package.sh and deploy/try-systemd.sh.
#
#   sh deploy/machine.sh make ROOT SUITE PACKAGE,…   by debootstrap, with these packages, where ROOT is not made yet
#   sh deploy/machine.sh boot ROOT OUT [OPTION…]     with systemd as PID 1; plays OUT/play.sh and shows what it says
#
# What boots has no network but its own loopback, and leaves ROOT as it was. OPTIONs are systemd-nspawn's. OUT is /srv/out
# within and gets log, journal and console. Ends with the exit status of OUT/play.sh.
set -eu

[ "$(id -u)" -eq 0 ] || {
  echo "deploy/machine.sh: run it as root: it boots a container" >&2
  exit 1
}
action=$1 base=$2
sh "$(dirname -- "$0")/packages.sh" debootstrap:debootstrap systemd-nspawn:systemd-container

if [ "$action" = make ]; then
  [ ! -e "$base.made" ] || exit 0
  echo "== A Debian $3, once, in $base"
  rm -rf --one-file-system "${base:?}"
  mkdir -p "$base"
  debootstrap --variant=minbase --include="$4" "$3" "$base" >"$base.log" 2>&1 || {
    tail -n 20 "$base.log" >&2
    exit 1
  }
  : >"$base.made"
  exit 0
fi

out=$3
shift 3
: >"$out/log"
cat >"$out/try.service" <<'EOT'
[Unit]
Description=What is tried here
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh /srv/out/play.sh
StandardOutput=append:/srv/out/log
StandardError=append:/srv/out/log
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/srv/out/status; journalctl --no-pager >/srv/out/journal 2>&1; systemctl poweroff --force'
EOT
machine=localctl-try-$$
groups=''
if [ ! -d /run/systemd/system ]; then # nobody here gives each machine a cgroup of its own: two of them would share one
  for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    if [ -e "$tree/cgroup.procs" ]; then groups="$groups $tree/$machine"; fi
  done
fi
(
  for own in $groups; do mkdir "$own" && echo 0 >"$own/cgroup.procs"; done
  exec systemd-nspawn --quiet --directory="$base" --volatile=overlay --boot --machine="$machine" --register=no --keep-unit \
    --private-network --bind="$out:/srv/out" --bind-ro="$out/try.service:/etc/systemd/system/try.service" "$@" \
    systemd.wants=try.service
) </dev/null >"$out/console" 2>&1 &
container=$!
trap 'kill "$container" 2>/dev/null && wait "$container"
  [ -z "$groups" ] || find $groups -depth -type d -exec rmdir {} \; 2>/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tail -n +1 -f --pid="$container" "$out/log"
wait "$container" || true
status=$(cat "$out/status" 2>/dev/null || echo 1)
echo "== Exit status $status; the machine's journal is in $out/journal"
exit "$status"
