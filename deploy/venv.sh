#!/bin/sh
# Makes .venv/ at the root of this tree and installs localctl into it, editable; quiet when all is well.
#
#   sh deploy/venv.sh          what localctl needs
#   sh deploy/venv.sh test     and what its tests need
#
# Does nothing where that has been done for this pyproject.toml already. Needs root only where Python has no venv.
set -eu

extra=${1:-}
root=$(cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.venv
stamp=$venv/localctl-installed
recent='import sys; sys.exit(sys.version_info < (3, 11))'

# The stamp names the place too: an editable install, and every script in a venv, is of no use elsewhere.
done_for="$root $(cksum <"$root/pyproject.toml")"
if [ -x "$venv/bin/localctl" ] && "$venv/bin/python" -c "$recent" 2>/dev/null; then
  case $(cat "$stamp" 2>/dev/null) in
    "$done_for test") exit 0 ;;
    "$done_for") [ "$extra" = test ] || exit 0 ;;
  esac
fi

find_python() {
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c "$recent" 2>/dev/null; then return; fi
  done
  found=$(python3 -V 2>/dev/null) || found=missing
  echo "localctl needs Python 3.11 or later, and there is none in $PATH" >&2
  echo "(python3 is $found). On Debian 12, Ubuntu 24.04 and later, as root:" >&2
  echo "  apt-get install --no-install-recommends python3 python3-venv" >&2
  exit 1
}

if ! "$venv/bin/python" -c "import pip; $recent" 2>/dev/null; then
  find_python
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then # Debian packs them apart
    sh "$root/deploy/packages.sh" "$python-venv"
  fi
  "$python" -m venv --clear "$venv"
fi

rm -f "$stamp"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
  --editable "$root${extra:+[$extra]}" </dev/null || {
  echo "deploy/venv.sh: pip could not install localctl into $venv; what it says is above" >&2
  exit 1
}
echo "$done_for${extra:+ $extra}" >"$stamp"
