"""HAProxy, told by its runtime socket: a reload would close connections on which a client may just be sending."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from deploy_lib.host.gateways import Gateway
from deploy_lib.shell import quote

_Backend = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]+$")]


class HAProxy(Gateway):
    """HAProxy: requests go to the backend `named` while any of its servers is up, and otherwise to the backend `found`.

    The servers of `found` come from Docker's DNS, those of `named` are free places that a deployment gives addresses. DNS alone
    would not do: it has a new container at once, whatever its health, and the old one for a while.

    Attributes:
        socket: the runtime socket, in the gateway's container; `socat` has to be there, too.
        found, named: see above; as the configuration calls them.
    """

    program: Literal["haproxy"] = "haproxy"
    socket: Annotated[str, StringConstraints(pattern=r"^/[^,\s]+$")] = "/run/gateway/admin.sock"
    found: _Backend = "found"
    named: _Backend = "rolling"

    def _say(self) -> str:
        """Shell function `say COMMANDS`, which leaves the answer in `$o`; one that is not understood is a failure, and so, with 2, is
        an answer that is not whole: `socat` ends well when none came in time, and a server of which nothing is said would count as
        quiet."""
        call = f"told socat -t 8 - {quote(f'UNIX-CONNECT:{self.socket}')}"
        return f"""\
  say() {{
    o=$(echo "$1;show cli level" | {call} 2>&1) || {{ printf '%s\\n' "$o"; return 2; }}
    case $o in *admin) o=${{o%admin}};; *) printf '%s\\nits socket gives no whole answer at level admin\\n' "$o"; return 2;; esac
    case $o in *'Unknown command'*|*'Permission denied'*|*'No such '*|*'not found'*) printf '%s\\n' "$o"; return 1;; esac
  }}"""

    def _servers(self, backend: str, first: str = "") -> str:
        """Shell text that puts a backend's servers into `$t`: their names, addresses, whether they are up (2), and why not (0: they
        may be); `$o` has all that was said.

        Args:
            first: what is asked in the same breath, such as "show backend;".
        """
        return f"""\
{self._say()}
  say '{first}show servers state {backend}' || return
  t=$(printf '%s\\n' "$o" | while read -r b be s name a op admin rest; do
    # 4 only says that it was in maintenance at the start.
    case $be in {quote(backend)}) echo "$name $a $op $((admin & ~4))";; esac
  done)"""

    def sends(self) -> str:
        """See `Gateway.sends`: a server that comes in counts as up until it is checked."""
        named = self.named
        return f"""\
{self._servers(named, "show backend;")}
  for b in {quote(self.found)} {quote(named)}; do
    case "
$o
" in *"
$b
"*) ;; *) echo "its configuration has no backend $b"; return 1;; esac
  done
  in= out= seen=' ' free=
  while read -r name a op admin; do
    case " $* " in
      *" $a "*)
        case $seen in *" $a "*) out="$out $name";; *) in="$in;set server {named}/$name state ready" seen="$seen$a ";; esac;;
      # An odd state is maintenance: nothing is sent there.
      *) case $admin in *[13579]) free="$free $name";; *) out="$out $name";; esac;;
    esac
  done <<=SERVERS=
$t
=SERVERS=
  for a; do
    case $seen in *" $a "*) continue;; esac
    name=${{free# }}; name=${{name%% *}}
    [ -n "$name" ] || {{ echo 'its backend {named} has no free server'; return 1; }}
    free=${{free#" $name"}}
    in="$in;set server {named}/$name addr $a;set server {named}/$name state ready" seen="$seen$a "
  done
  for name in $out; do in="$in;set server {named}/$name state drain"; done
  if [ -n "$in" ]; then say "${{in#;}}"; fi"""

    def takes(self) -> str:
        """See `Gateway.takes`."""
        return f"""\
{self._servers(self.named)}
  for a; do
    case "
$t
" in *" $a 2 0
"*) ;; *) echo "its own check of $a fails"; return 1;; esac
  done"""

    def quiet(self) -> str:
        """See `Gateway.quiet`."""
        return f"""\
{self._say()}
  say 'show stat;show servers state {self.named};show servers state {self.found}' || return
  q=$(printf '%s\\n' "$o" | cut -s -d, -f1,2,5)
  while read -r b be s name a rest; do
    case $be in {quote(self.named)}|{quote(self.found)}) ;; *) continue;; esac
    [ "$a" = "$1" ] || continue
    case "
$q
" in *"
$be,$name,0
"*) ;; *) return 1;; esac
  done <<=SERVERS=
$o
=SERVERS="""

    def told_any(self) -> str:
        """See `Gateway.told_any`: a server that is drained is told, too."""
        return f"""\
{self._servers(self.named)}
  printf '%s\\n' "$t" | grep -q '[02468]$'"""

    def finds(self) -> str:
        """See `Gateway.finds`."""
        return f"""\
{self._servers(self.found)}
  n=0
  while read -r name a op admin; do
    case $admin in 0) ;; *) continue;; esac
    case "$op  $* " in 2' '*" $a "*) n=$((n + 1));; *) return 1;; esac
  done <<=SERVERS=
$t
=SERVERS=
  [ $n = $# ]"""

    def forgets(self) -> str:
        """See `Gateway.forgets`: what is being answered goes on."""
        return f"""\
{self._servers(self.named)}
  c=$(printf '%s\\n' "$t" | while read -r name a op admin; do
    case $admin in *[13579]) ;; *) printf ';set server {self.named}/%s state maint' "$name";; esac
  done)
  if [ -n "$c" ]; then say "${{c#;}}"; fi"""
