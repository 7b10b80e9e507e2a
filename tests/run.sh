#!/bin/sh
# The whole check of this tree: linters, types, the direction of imports, tests. Ends with the tests' summary.
#
#   sh tests/run.sh [--all] [arguments of pytest]
#
# --all runs sampled loops to their end. Everything that this leaves behind is in .venv/. As root it installs the
# Debian packages that the tests use and that are missing; otherwise it says which.
set -eu

cd -- "$(dirname -- "$0")/.."
exec </dev/null

if [ "${1:-}" = --all ]; then
  export LOCALCTL_TESTS_ALL=1
  shift
fi

# program:package:service       what for
programs=$(sed 's/ .*//' <<'EOF'
nginx:nginx-light:nginx         an origin as most are
curl:curl                       downloads over HTTP and FTP, as stations do them
wget:wget                       the same
busybox:busybox                 the same, as small stations do them: wget, ftpget
vsftpd:vsftpd:vsftpd            an FTP origin as most are
lftp:lftp                       an FTP client that uses all that a server offers
openssl:openssl                 certificates
ip:iproute2                     a machine of one interface, or none, to find the LAN address of
strace:strace                   kills and disk errors at chosen system calls
promtool:prometheus:prometheus  reads our metrics and proves our rules; prometheus, which watches us, comes with it
mkfs.ext4:e2fsprogs             a file system that Linux shuts for writing after an error
faketime:faketime               a clock at 1970, and one that jumps by years
cc:gcc                          the load of the relay's benchmark, which is in C
gencat:libc6-dev                its headers; gencat comes with them
nft:nftables                    a firewall, and whether it lets stations in
chromium:chromium               opens the status page as an installer's browser does
systemd-analyze:systemd         reads our unit file as systemd does
shellcheck:shellcheck           reads our scripts
groff:groff-base                reads our man page
dpkg-deb:dpkg                   takes our package apart
lintian:lintian                 finds fault with our package
EOF
)
# shellcheck disable=SC2086  # a word each
sh deploy/packages.sh $programs
sh deploy/venv.sh test

unset PYTHONDONTWRITEBYTECODE # else each of the many daemons compiles its libraries anew
cache=$PWD/.venv/cache
export MYPY_CACHE_DIR="$cache/mypy" RUFF_CACHE_DIR="$cache/ruff" PYTHONPYCACHEPREFIX="$cache/python"
export HYPOTHESIS_STORAGE_DIRECTORY="$cache/hypothesis"
export PATH="$PWD/.venv/bin:$PATH:/usr/sbin:/sbin"

step() {
  echo "== $*"
  "$@" || {
    status=$?
    echo "tests/run.sh: stopped, $1 failed with exit status $status" >&2
    exit "$status"
  }
}
step ruff check
step ruff format --check
step mypy
step lint-imports --cache-dir "$cache/import-linter"
echo "== pytest"
# A test waits for much of its time, so there are more workers than cores.
exec pytest -o cache_dir="$cache/pytest" -n $(($(nproc) * 2)) --dist worksteal --durations=15 "$@"
