#!/bin/sh
# Builds the Debian packages: one .deb each for amd64, arm64 and armhf, on any of them, without an emulator.
#
#   sh deploy/package.sh [--output DIR] [--version VERSION] [amd64|arm64|armhf]…
#
# They go to .venv/dist/ where --output says nothing else. All of what they carry is locked by hash in
# deploy/requirements.lock, and what builds them in deploy/package/tools.lock. Two builds of one commit are equal byte
# for byte.
set -eu

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.venv/package
stamp=$venv/tools-installed
lock=$root/deploy/package/tools.lock
done_for="$root $(cksum <"$lock")"

mkdir -p "$root/.venv"
if command -v flock >/dev/null; then # two builds at once would write to each other's wheels
  exec 9>"$root/.venv/package.lock"
  flock 9
fi

# What strips compiled modules of what only a debugger reads: half of their size.
sh "$root/deploy/packages.sh" x86_64-linux-gnu-strip:binutils-x86-64-linux-gnu \
  aarch64-linux-gnu-strip:binutils-aarch64-linux-gnu arm-linux-gnueabihf-strip:binutils-arm-linux-gnueabihf

if [ "$(cat "$stamp" 2>/dev/null)" != "$done_for" ]; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --require-hashes --no-deps \
    -r "$lock" </dev/null
  echo "$done_for" >"$stamp"
fi
export PYTHONPYCACHEPREFIX="$root/.venv/cache/python" PYTHONPATH="$root" PATH="$venv/bin:$PATH"
exec "$venv/bin/python" -m deploy.package.build --root "$root" "$@"
