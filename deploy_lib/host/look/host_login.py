"""Which digest a reference means, asked with a host's own logins and credential helpers; they never leave the host.

The engine does not know them: they belong to its user's Docker client, which hands them over with each request. So does this
script, on the host: what an answer says comes back, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from deploy_lib.errors import RemoteError
from deploy_lib.host.look.registry import RESOLVE_TIMEOUT, Manifest, asked_path, read_answers
from deploy_lib.release.image import HUB, HUB_LOGIN, Image
from deploy_lib.shell import IN_MEMORY, quote
from deploy_lib.ssh.session import Session


def ask_with_host_login(session: Session, references: Sequence[Image]) -> dict[Image, Manifest]:
    """Asks the registries through the host's engine, with the logins that the host's own user has.

    Raises:
        RemoteError: the host does not answer, or its engine's socket cannot be used.
    """
    if not references:
        return {}
    with session.start(host_login_script(references), timeout=RESOLVE_TIMEOUT) as process:
        said = process.read()
        stderr = process.stderr
    if not said:
        raise RemoteError(f"Docker's socket did not answer: {stderr.strip()}", node=session.node)
    return read_answers(said, references)


_FUNCTIONS = r"""
c=$(tr -d '\n\r\t' <"${DOCKER_CONFIG:-$HOME/.docker}/config.json" 2>/dev/null)
# field NAME: the text of a field of the JSON on standard input, as it is escaped there.
field() { sed -nE 's/.*"'"$1"'" *: *"((\\.|[^"\\])*)".*/\1/p' | head -n 1; }
# plain: any text on standard input, escaped for JSON.
plain() { sed 's/[\\"]/\\&/g'; }
# login SERVER PATTERN: the header with the host's own login at a registry; PATTERN has three groups of its own. The
# credentials are in no command line: printf is the shell's own.
login() {
  u= p=
  h=$(printf %s "$c" | sed -nE 's/.*"credHelpers" *: *\{([^}]*)\}.*/\1/p' | sed -nE 's#.*"('"$2"')" *: *"([^"]*)".*#\5#p')
  [ -n "$h" ] || h=$(printf %s "$c" | field credsStore)
  if [ -n "$h" ] && x=$(printf %s "$1" | timeout 20 "docker-credential-$h" get 2>/dev/null); then
    x=$(printf %s "$x" | tr -d '\n\r')
    u=$(printf %s "$x" | field Username) p=$(printf %s "$x" | field Secret)
  fi
  if [ -z "$p" ]; then
    x=$(printf %s "$c" | sed -nE 's#.*"('"$2"')" *: *\{([^}]*)\}.*#\5#p')
    t1=$(printf %s "$x" | field identitytoken)
    x=$(printf %s "$x" | field auth | base64 -d 2>/dev/null)
    u=$(printf %s "${x%%:*}" | plain) p=$(printf %s "${x#*:}" | plain)
    [ -z "$t1" ] || u='<token>' p=$t1
  fi
  [ -n "$p" ] || return 0
  case $u in
    '<token>' | '\u003ctoken\u003e') x="\"identitytoken\":\"$p\"";;
    *) x="\"username\":\"$u\",\"password\":\"$p\"";;
  esac
  printf 'X-Registry-Auth: %s\r\n' "$(printf '{%s,"serveraddress":"%s"}' "$x" "$1" | base64 -w 0 | tr +/ -_)"
}
# ask PATH SERVER PATTERN [HEADER]: a request for the engine.
ask() { printf 'GET %s HTTP/1.1\r\nHost: docker\r\n' "$1"; login "$2" "$3"; [ -z "${4-}" ] || printf '%s\r\n' "$4"; printf '\r\n'; }
"""


def host_login_script(references: Sequence[Image]) -> str:
    """Prints the engine's answers, one after the other."""
    last = len(references) - 1
    asked = "\n".join(
        f"  ask {quote(asked_path(reference))} {quote(_server(reference))} {quote(_pattern(reference))}"
        + (" 'Connection: close'" if number == last else "")
        for number, reference in enumerate(references)
    )
    # The engine cancels a request whose client has closed its sending side, so that stays open until the answer.
    return f"""\
{IN_MEMORY}{_FUNCTIONS}mkfifo "$t/in" && exec 3<>"$t/in" || exit
{{
{asked}
}} >&3 &
docker system dial-stdio <"$t/in"
"""


def _server(reference: Image) -> str:
    """What Docker's client calls the registry where it keeps logins."""
    return HUB_LOGIN if reference.registry == HUB else reference.host


def _pattern(reference: Image) -> str:
    """An extended regular expression for the keys that the login may have in the client's configuration."""
    names = [f"index.{HUB}", HUB, f"registry-1.{HUB}"] if reference.registry == HUB else [reference.host]
    return f"(https?://)?({'|'.join(name.replace('.', '[.]') for name in names)})(/v[12])?/?"
