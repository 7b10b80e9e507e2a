#!/bin/sh
# What deploy/try-systemd.sh has its machine do, as root: install, then tests/systemd/machine.py, then journeys of the
# tests within the unit's sandbox.
set -eu

cd /srv/localctl
export PIP_NO_INDEX=1 PIP_FIND_LINKS=/srv/wheels PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1
export PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/run/hypothesis HOME=/root
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
options='-p no:cacheprovider'

echo "== $(systemctl --version | head -n 1), $(python3 -V)"
awk '/^## /{here = $0 == "## Without the package"} /^```$/{code = 0} here && code; /^```sh$/{code = 1}' \
  deploy/README.md >/run/commands
/bin/sh -euxc "$(cat /run/commands)"
install -m 0640 -g localctl config.example.toml /etc/localctl/config.toml # where an installer runs localctl setup
echo "== The tests"
/opt/localctl/bin/pip install '/srv/localctl[test]'
# shellcheck disable=SC2086  # words
/opt/localctl/bin/python -m pytest $options -v tests/systemd/machine.py && status=0 || status=$?

echo "== Journeys within the sandbox"  # but for ProcSubset: psutil, with which the tests look at localctl, needs /proc/stat
systemctl stop localctl.socket localctl.service
sed -e 's|^ExecStart=.*|ExecStart=/opt/localctl/bin/python -m pytest '"$options"' --basetemp=/var/lib/localctl/pytest '`
  `'tests/journeys/test_publish.py tests/journeys/test_relay.py tests/journeys/test_https.py tests/journeys/test_wss.py '`
  `'tests/journeys/test_restart.py tests/serve/test_ftps.py|' \
  -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d; /^WatchdogSec/d; /^Wants/d; /^After/d; s/^ProcSubset=.*/ProcSubset=all/' \
  -e '/^User=/i WorkingDirectory=/srv/localctl\nEnvironment=PYTHONDONTWRITEBYTECODE=1 HOME=/var/lib/localctl\nUnsetEnvironment=RUNTIME_DIRECTORY' \
  -e '/^User=/i Environment=HYPOTHESIS_STORAGE_DIRECTORY=/var/lib/localctl/hypothesis\nStandardOutput=append:/srv/out/log' \
  systemd/localctl.service >/run/systemd/system/localctl-journeys.service
systemctl daemon-reload
systemd-analyze security --no-pager localctl-journeys.service | tail -n 1
systemctl start localctl-journeys.service && exit "$status"
