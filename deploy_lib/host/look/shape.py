"""What a host has in the place of what scripts rely on: other programs by the same name, and a logind that tidies up."""

from __future__ import annotations

SHAPE = """\
# lacks NAME: a program that does not do what scripts need.
lacks() {
  command -v "$1" >/dev/null || return 0
  case $("$1" --help 2>&1 </dev/null) in *BusyBox*) echo "busybox:$1";; *) echo "lacks:$1";; esac
}
# shape: `KIND:NAME` for each program that is not what its name says, and each setting of logind that breaks a promise.
shape() {
  # They are tried: BusyBox's shell runs its own ones by these names, wherever PATH leads.
  find / -maxdepth 0 -ls >/dev/null 2>&1 || lacks find
  tail -n 0 --pid=$$ /dev/null >/dev/null 2>&1 || lacks tail
  timeout 0.01 sleep 9 >/dev/null 2>&1; [ $? = 124 ] || lacks timeout
  flock -s -w 1 /dev/null true >/dev/null 2>&1 || lacks flock
  x=$(command -v docker) || return 0
  case $x:$(readlink -f "$x") in */snap/bin/*|*:*/snap) echo snap:docker;; esac
  [ "$(dd if="$x" bs=2 count=1 2>/dev/null | tr '\\000' 0)" != '#!' ] || ! grep -q podman "$x" || echo podman:docker
  # root's processes and memory are left alone, and so is everything where no logind runs. Of what sudo has started, the session
  # is still that of who has logged in.
  [ "${SUDO_UID:-$(id -u)}" != 0 ] && [ -d /run/systemd/seats ] && command -v busctl >/dev/null || return 0
  for x in KillUserProcesses RemoveIPC; do
    case $x:$(id -u) in RemoveIPC:?|RemoveIPC:??|RemoveIPC:???) continue;; esac
    [ "$x" = KillUserProcesses ] || [ ! -e "/var/lib/systemd/linger/$(id -un)" ] || continue
    o=org.freedesktop.login1
    case $(busctl get-property $o /org/freedesktop/login1 $o.Manager $x 2>/dev/null) in *true) echo "logind:$x";; esac
  done
}
"""
"""Shell function `shape`. What belongs to system users (below 1000), or to those who linger, is not removed at logout."""
