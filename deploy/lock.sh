#!/bin/sh
# Makes the lock files anew: deploy/requirements.lock of pyproject.toml, deploy/package/tools.lock of tools.in.
#
#   sh deploy/lock.sh              keeps the versions that are locked, where they still fit
#   sh deploy/lock.sh --upgrade    takes the latest ones
#
# For all Pythons and processors at once; each line has the hashes of all files of its release.
set -eu

cd -- "$(dirname -- "$0")/.."
venv=$PWD/.venv/lock
[ -x "$venv/bin/uv" ] || {
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check 'uv>=0.13,<0.14'
}
lock() {
  "$venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --custom-compile-command 'sh deploy/lock.sh' "$@"
}
lock "$@" --output-file deploy/requirements.lock pyproject.toml
lock "$@" --output-file deploy/package/tools.lock deploy/package/tools.in
