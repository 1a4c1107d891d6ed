"""Grafana: its own command line changes its admin's password, and its HTTP interface proves it."""

from __future__ import annotations

from typing import Literal

from deploy_lib.host.programs import REFUSED, Program, literal
from deploy_lib.secrets.value import Secret

CHANGE = """\
get; printf '%s\\n' "$v" | grafana cli admin reset-admin-password --password-from-stdin >/dev/null
"""

TAKES = f"""\
get
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 2
printf 'GET /api/user HTTP/1.0\\r\\nHost: localhost\\r\\nAuthorization: Basic %s\\r\\n\\r\\n' \\
  "$(printf %s "$v" | base64 | tr -d '\\n')" >&3
IFS= read -r -t 10 l <&3
case $l in HTTP/*' 200'*) exit 0;; HTTP/*' 401'*) exit {REFUSED};; *) exit 2;; esac
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
