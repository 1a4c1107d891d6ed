"""Grafana: its own command line changes its admin's password, and its HTTP interface proves it."""

from __future__ import annotations

from typing import Literal

from deploy_lib.host.programs import REFUSED, Program, literal
from deploy_lib.secrets.value import Secret

CHANGE = """\
# As the image's entry point does for the server: `docker exec` has the variables of the container, and not what it made of them.
for n in $(env | sed -n 's/^\\(GF_[A-Za-z0-9_]*\\)__FILE=..*/\\1/p'); do
  eval "f=\\$${n}__FILE"
  [ -z "$f" ] || export "$n=$(cat "$f")"
done
get
printf '%s\\n' "$v" |
  grafana cli ${GF_PATHS_CONFIG:+--config "$GF_PATHS_CONFIG"} admin reset-admin-password --password-from-stdin >/dev/null
"""

TAKES = f"""\
get; port=$1
# ask HOST PATH: the first line of the answer in $l.
ask() {{
  exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 2
  printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\nAuthorization: Basic %s\\r\\n\\r\\n' "$2" "$1" \\
    "$(printf %s "$v" | base64 | tr -d '\\n')" >&3
  l=; IFS= read -r -t 10 l <&3
}}
ask localhost /api/user
# Below a path (serve_from_sub_path), or under its own name alone (enforce_domain), it says where it answers.
case $l in HTTP/*' 301'*)
  while IFS= read -r -t 10 h <&3; do
    h=${{h%$'\\r'}}
    case $h in
      [Ll]ocation:*://*/api/user) h=${{h#*://}}; ask "${{h%%/*}}" "/${{h#*/}}"; break;;
      [Ll]ocation:*/api/user) ask localhost "/${{h#*/}}"; break;;
      '') break;;
    esac
  done;;
esac
case $l in
  HTTP/*' 200'*) exit 0;;
  HTTP/*' 401'*) exit {REFUSED};;
  HTTP/*) l=${{l%$'\\r'}}; printf 'it answers %s\\n' "${{l:0:60}}";;
esac
exit 2
"""
"""For bash, which Grafana's image has for its own entry point; there may be no curl."""


class GrafanaAdmin(Program):
    """Grafana keeps its admin's password in its data; its own command line changes it there.

    Attributes:
        user: the admin's login.
        port: where it speaks HTTP in its container.
    """

    kind: Literal["grafana-admin"]
    user: str = "admin"
    port: int = 3000

    def keeps(self) -> str:
        """See `Program.keeps`. Its copy cannot be had, but is made from the value."""
        return f'printf %s "$old_{self.secret}"'

    def change(self) -> str:
        """See `Program.change`."""
        return self.inside(CHANGE, '"$1"')

    def takes(self) -> str:
        """See `Program.takes`."""
        return self.inside(
            TAKES, literal(self.user) + '":$1"', interpreter="bash", arguments=(str(self.port),)
        )

    def unfit(self, value: Secret) -> str:
        """See `Program.unfit`."""
        if any(c in value.reveal() for c in "\r\n"):
            return f"{self.secret} has a line break, and Grafana reads its password from one line"
        return ""
