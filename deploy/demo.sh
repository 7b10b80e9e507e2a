#!/bin/sh
# Shows the whole job on this machine: makes .venv/, installs localctl into it, and runs `localctl demo`.
#
#   sh deploy/demo.sh [arguments of localctl demo]
set -eu

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
sh "$root/deploy/venv.sh"
export PYTHONPYCACHEPREFIX="$root/.venv/cache/python" # the tree stays as it is
exec "$root/.venv/bin/localctl" demo "$@"
