"""Which variables have no value: Compose names each one of its files, also where only a part has it that is not in use.

So the files are rendered a second time, with something in the place of each, and those count that come back in the services that
there are. Where that cannot be rendered, all of them do.
"""

from __future__ import annotations

from deploy_lib.compose.command import BLANK, render_command
from deploy_lib.compose.model import read_model
from deploy_lib.host.stack import HostStack
from deploy_lib.shell import quote

_FIRST = 60001
"""Numbers from here on stand for variables where texts do not do, such as in a port."""


def function(stack: HostStack) -> str:
    """Shell function `blank`: the names, and then what `read_blank` tells those that count by; takes `$t`, and `$t/said`, what
    Compose said of the files in memory."""
    render = f"{render_command(stack.unpinned)} 2>/dev/null"
    return f"""\
blank() {{
  [ -e "$t/said" ] || return 0
  n=$(sed -n {quote(BLANK)} "$t/said" | sort -u)
  [ -n "$n" ] || return 0
  printf '%s\\n' $n
  (
    for x in $n; do export "$x={_text("$x")}"; done
    {render} && exit
    i={_FIRST}
    for x in $n; do export "$x=$i"; i=$((i + 1)); done
    {render}
  )
  return 0
}}
"""


def read_blank(said: str) -> frozenset[str]:
    """The variables of services in use that have no value.

    Raises:
        ValueError: it is something else.
    """
    listed, _, model = said.partition("{")
    names = listed.split()
    if not all(name.isidentifier() for name in names):
        raise ValueError
    if not model:
        return frozenset(names)
    services = read_model("{" + model).values()
    used = "\n".join(service.text for service in services)
    return frozenset(
        name for number, name in enumerate(names, _FIRST) if _text(name) in used or str(number) in used
    )


def _text(name: str) -> str:
    return f"deploy-blank.{name}.value"
