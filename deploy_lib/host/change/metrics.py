"""A deployment's outcome as metrics, in the text format that node-exporter's textfile collector reads.

The host itself makes the file from its history, whenever it adds to it. So it tells of a host that went back while nobody
watched, too, and can be made again from nothing else.
"""

from __future__ import annotations

from typing import get_args

from deploy_lib import layout
from deploy_lib.host.stack import HostStack
from deploy_lib.release.history import RESTORES, Kind
from deploy_lib.shell import quote

SUCCESS = "deploy_last_success_timestamp_seconds"
END = "deploy_last_end_timestamp_seconds"
OUTCOME = "deploy_last_outcome"
DURATION = "deploy_duration_seconds"
RELEASE = "deploy_release_info"

KINDS = tuple(kind for kind in get_args(Kind) if kind not in ("backup", *RESTORES))
"""The events of deployments; backups and restores are none."""

_HELP = {
    SUCCESS: "When a release was last proven on this node, in Unix time.",
    RELEASE: "The release that was last proven on this node; always 1.",
    END: "When a deployment last ended on this node, however it ended, in Unix time.",
    DURATION: "How long that deployment took.",
    OUTCOME: "1 for what the newest deployment of this node has come to, 0 for everything else.",
}


def function(stack: HostStack) -> str:
    """Shell function `metrics`: makes the file anew, and renames it into its place.

    Its mode lets everybody read it: the collector runs as a user of its own, and the file has nothing secret.
    """
    directory = stack.directory / layout.METRICS.partition("/")[0]
    new, path = quote(directory / ".new"), quote(stack.directory / layout.METRICS)
    history = quote(stack.directory / layout.HISTORY)
    labels = f"node={_label(stack.node.name)},stack={_label(stack.name)}"
    events = quote(f'^{{"kind":"({"|".join(KINDS)})".*}}$')
    # JSON has a quote within a string as \", so `","seconds":` is a key's beginning and never part of a text.
    return f"""\
# The events' fields, in their order: see `Event` of `release/history.py`. busybox knows no T between date and time.
metric_field() {{ printf '%s\\n' "$1" | sed -n "s/$2/\\\\1/p"; }}
metric_moment() {{ date -u -d "$(metric_field "$1" '^{{"kind":"[a-z]*","at":"\\([-0-9]*T[:0-9]*\\)Z".*' | tr T ' ')" +%s; }}
metric_help() {{ printf '# HELP %s %s\\n# TYPE %s gauge\\n' "$1" "$2" "$1"; }}
metric() {{ printf '%s{{%s}} %s\\n' "$1" {quote(labels)}"$2" "$3"; }}
measured() {{
  l=$(grep -aE {events} {history} | tail -n 1)
  [ -n "$l" ] || return 0
  {_help(OUTCOME)}
  for k in {" ".join(KINDS)}; do
    if [ "$(metric_field "$l" '^{{"kind":"\\([a-z]*\\)".*')" = "$k" ]; then v=1; else v=0; fi
    metric {OUTCOME} ",outcome=\\"$k\\"" $v
  done
  l=$(grep -aE {events} {history} | grep -av '^{{"kind":"started"' | tail -n 1)
  if [ -n "$l" ]; then
    v=$(metric_moment "$l") && {_help(END)} && metric {END} '' "$v" || return
    v=$(metric_field "$l" '.*","seconds":\\([-+.0-9e]*\\),"hashes".*') && {_help(DURATION)} && metric {DURATION} '' "${{v:-0}}" || return
  fi
  l=$(grep -a '^{{"kind":"proven".*}}$' {history} | tail -n 1)
  [ -n "$l" ] || return 0
  v=$(metric_moment "$l") && {_help(SUCCESS)} && metric {SUCCESS} '' "$v" || return
  r='.*,"release":{{"id":"[^"\\\\]*","tag":"\\([^"\\\\]*\\)".*' i='.*,"release":{{"id":"\\([^"\\\\]*\\)".*'
  {_help(RELEASE)} && metric {RELEASE} ",release=\\"$(metric_field "$l" "$i")\\",tag=\\"$(metric_field "$l" "$r")\\"" 1
}}
metrics() (
  umask 022
  # Nobody else may have made it, or lead elsewhere with it.
  mkdir -p {quote(directory)} && [ -O {quote(directory)} ] && [ ! -L {quote(directory)} ] || return
  measured >{new} && sync {new} && mv -f {new} {path}
)
"""


def _help(name: str) -> str:
    return f"metric_help {name} {quote(_HELP[name])}"


def _label(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
