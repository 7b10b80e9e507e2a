#!/bin/sh
# What deploy/try-package.sh does within a root: install, set up, run, upgrade, remove, purge. Ends at the first step
# that does not go as it must.
set -eu

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
config=/etc/localctl/config.toml

say() { echo "  $*"; }
fail() {
  echo "try-package: $*" >&2
  exit 1
}
files() { # all that are of interest: not what belongs to this trial, to dpkg and to the accounts
  find / -xdev \( -path /proc -o -path /root -o -path /tmp -o -path /run -o -path /dev -o -path /var/lib/dpkg -o -path /var/log \) \
    -prune -o ! -path '/etc/*-' -print | sort
}
calls() { cat /run/systemctl.calls 2>/dev/null || true; }

say "network: $(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | tr '\n' ' ')and no other"
files >/root/before

# systemd is not the first process here: a systemctl that writes down what it is asked stands in for it, and has the
# real one do what needs files only.
mkdir -p /run/systemd/system /usr/local/sbin
cat >/usr/local/sbin/systemctl <<'EOF'
#!/bin/sh
echo "$*" >>/run/systemctl.calls
case " $* " in *' preset '* | *' enable '* | *' disable '* | *' is-enabled '*) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl "$@" ;; esac
EOF
chmod 755 /usr/local/sbin/systemctl

say "install: dpkg -i $(basename "$1")"
dpkg -i "$1" >/root/log 2>&1 || fail "$(cat /root/log)"
grep -q 'Run: localctl setup' /root/log || fail "it does not say what is next: $(cat /root/log)"
[ "$(stat -c '%U:%G %a' $config)" = 'root:localctl 640' ] || fail "$config: $(stat -c '%U:%G %a' $config)"
! calls | grep -Eq '^(.* )?(start|restart|try-restart)( |$)' || fail "it was started: $(calls)"
[ -e /etc/systemd/system/multi-user.target.wants/localctl.service ] || fail "it is not enabled"
python3 -IBS -c 'import sys; sys.path.append("/usr/lib/localctl"); import localctl.cli as c; sys.exit(not c.__cached__)'
[ -n "$(find /usr/lib/localctl/localctl/__pycache__ -name 'cli.*.pyc')" ] || fail "nothing is compiled"
man=$(zcat /usr/share/man/man1/localctl.1.gz | head -n 1)
say "$(localctl --version), $man, $(stat -c '%U:%G %a' $config) $config; enabled, not started"

localctl demo --stations 2 --size 1 >/root/log 2>&1 || fail "localctl demo: $(cat /root/log)"
say "localctl demo: $(tail -n 1 /root/log)"

say "set up, start, publish, fetch"
python3 -IBS /root/trial.py $config
[ "$(stat -c '%U:%G %a' $config)" = 'root:localctl 640' ] || fail "setup left $config as $(stat -c '%U:%G %a' $config)"
sum=$(sha256sum $config)

say "upgrade: dpkg -i $(basename "$2")"
: >/run/systemctl.calls
dpkg -i "$2" >/root/log 2>&1 </dev/null || fail "$(cat /root/log)"
[ "$sum" = "$(sha256sum $config)" ] || fail "the configuration was changed"
calls | grep -q 'daemon-reload' || fail "systemd did not read the units again"
calls | grep -Eq 'try-restart.*localctl.service' || fail "it would not be restarted: $(calls)"
! calls | grep -Eq '(^| )(start|restart) .*localctl' || fail "it would be started where it did not run: $(calls)"
say "the configuration is as it was; only what ran is restarted"
python3 -IBS /root/trial.py $config again

say "remove: dpkg -r"
dpkg -r localctl >/root/log 2>&1 || fail "$(cat /root/log)"
calls | grep -q 'stop.*localctl.service' || fail "it was not stopped: $(calls)"
for kept in $config /var/lib/localctl/localctl.db; do [ -e "$kept" ] || fail "removal took $kept"; done
[ ! -e /usr/lib/localctl ] || fail "left in /usr/lib/localctl: $(find /usr/lib/localctl | head)"
say "configuration and state stay"

say "purge: dpkg -P"
dpkg -P localctl >/root/log 2>&1 || fail "$(cat /root/log)"
rm -rf /usr/local/sbin/systemctl
files >/root/after
diff /root/before /root/after >/root/left || fail "it leaves, or took: $(cat /root/left)"
say "nothing is left; the user stays: $(id localctl)"
