"""MariaDB: where its data lie, and an account's password: it keeps a hash, which is computed here, and never gets the password."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from deploy_lib.host.programs import REFUSED, Program, literal
from deploy_lib.host.programs.data import Data, Version, newer, option, shown, version
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret

_CLIENT = """\
get; user=$v
set -- $(hostname -i)
socket=--protocol=SOCKET tcp="--protocol=TCP --host=$1"
export MYSQL_PWD
# Its files could hold a password, which would be tried in place of this one.
maria() {
  command mariadb --no-defaults --ssl --skip-ssl-verify-server-cert --connect-timeout=5 --user="$user" $door -NBr
}
"""

_LOGIN = f"""{_CLIENT}\
get; old=$v
get; new=$v
problem=
# An account may change its own password; which one it has is not known after a host went down in the middle.
login() {{
  for MYSQL_PWD in "$old" "$new"; do
    said=$(echo 'SHOW CREATE USER CURRENT_USER' | maria 2>&1)
    hash=$(printf '%s\\n' "$said" | sed -n "s/.* IDENTIFIED [^']*'\\(\\*[0-9A-F]\\{{40\\}}\\)'.*/\\1/p")
    [ -z "$hash" ] || return 0
    case $said in
      ERROR*) problem=${{problem:-$said}};;
      *) problem='its password is none of the plugin mysql_native_password';;
    esac
  done
  return 1
}}
"""

_SHUT_OUT = """\
printf '%s\\n' "MariaDB, $user: $problem" >&2
exit 1
"""

KEEPS = f"""{_LOGIN}\
for door in "$socket" "$tcp"; do
  ! login || {{ printf '%s\\n' "$hash"; exit; }}
done
{_SHUT_OUT}"""

CHANGE = f"""{_LOGIN}\
get; given=$v
get
# Logs that could contain the statements are switched off for them, where the account may do so.
quietly() {{
  quiet=
  for setting in sql_log_off=1 slow_query_log=0; do
    ! echo "SET SESSION $setting" | maria >/dev/null 2>&1 || quiet="${{quiet}}SET SESSION $setting;"
  done
}}
# One name may have an account for each host that it comes from, as root has: those with the same password are changed
# with it, where the account may see them, and its own last. One that has the new password has it from half of this.
others() {{
  maria 2>/dev/null <<END
$quiet
SELECT CONCAT('SET PASSWORD FOR ', QUOTE(User), '@', QUOTE(Host), ' = ', QUOTE('$v'), ';') FROM mysql.global_priv
WHERE User = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND CONCAT(User, '@', Host) <> CURRENT_USER()
  AND (LOCATE('"$hash"', Priv) OR LOCATE('"$given"', Priv))
END
}}
changed=
# By the socket it may be another account than by TCP, and neither of them sees the other.
for door in "$socket" "$tcp"; do
  login || continue
  quietly
  printf '%s\\n' "$quiet" "$(others)" "SET PASSWORD = '$v';" | maria || exit
  changed=1
done
[ -z "$changed" ] || exit 0
{_SHUT_OUT}"""  # noqa: S608 - what it is put together from are hashes, and names that the server itself quotes
"""The values are the hash of the new password, and the one to be kept."""

TAKES = f"""{_CLIENT}\
get; MYSQL_PWD=$v
try() {{
  said=$(echo 'SELECT 1' | maria 2>&1) && return
  case $said in *'ERROR 1045 '*|*'ERROR 1130 '*|*'ERROR 1698 '*) return {REFUSED};; *) return 2;; esac
}}
door=$tcp; try; r=$?
[ $r -ne 0 ] || exit 0
# An account may be for the socket alone; one that lets anybody in there says nothing of the password.
door=$socket; try
case $? in
  0) MYSQL_PWD="$MYSQL_PWD."; try || exit 0;;
  {REFUSED}) exit {REFUSED};;
esac
exit $r
"""


class MariadbUser(Program):
    """MariaDB keeps an account's password in its data, as the plugin mysql_native_password does; `SET PASSWORD` changes it there.

    Attributes:
        user: the account's name, whatever host it comes from.
    """

    kind: Literal["mariadb-user"]
    user: str = Field(min_length=1, default="root")

    def keeps(self) -> str:
        """See `Program.keeps`."""
        return self.inside(KEEPS, *self._login())

    def change(self) -> str:
        """See `Program.change`."""
        return self.inside(CHANGE, *self._login(), f'"$APPLY_{self.secret}"', '"$1"')

    def takes(self) -> str:
        """See `Program.takes`."""
        return self.inside(TAKES, literal(self.user), '"$1"')

    def hand(self, value: Secret) -> Secret:
        """See `Program.hand`."""
        once = hashlib.sha1(value.reveal().encode(), usedforsecurity=False).digest()
        return Secret("*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper())

    def _login(self) -> tuple[str, str, str]:
        return literal(self.user), f'"$old_{self.secret}"', f'"$new_{self.secret}"'


class MariaDB(Data):
    """MariaDB: a newer series takes data when it is told to upgrade them, an older one does not take them back."""

    IMAGES = re.compile(r"(^|[/_-])mariadb(-server)?$")
    VARIABLES = ("MARIADB_VERSION",)
    OPTIONS = ("--datadir",)
    FILES = ("mariadb_upgrade_info", "mysql_upgrade_info")

    program: Literal["mariadb"] = "mariadb"

    def where(self, image: Image, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """See `Data.where`."""
        usual = "/bitnami/mariadb/data" if "bitnami" in image.repository else "/var/lib/mysql"
        return self.directory or option(command, *self.OPTIONS) or usual

    def made_by(self, files: Mapping[str, bytes]) -> Version:
        """See `Data.made_by`."""
        said = (files.get(name, b"").decode(errors="replace").strip() for name in self.FILES)
        return version(next(filter(None, said), ""))

    def made_for(self, image: Image, environment: Mapping[str, str]) -> Version:
        """See `Data.made_for`."""
        # Debian's way to write it: 1:11.4.2+maria~ubu2404.
        told = environment.get("MARIADB_VERSION", "").rpartition(":")[2]
        return version(told) or version(image.tag)

    def refuses(self, made: Version, image: Version, environment: Mapping[str, str]) -> str:
        """See `Data.refuses`."""
        length = min(len(made), len(image))
        old, new = made[:length], image[:length]
        if old == new or (old < new and environment.get("MARIADB_AUTO_UPGRADE")):
            return ""
        if old < new:
            return (
                f"what MariaDB {shown(made)} has written needs an upgrade before MariaDB {shown(image)} works with all of it: let the "
                'image make it (MARIADB_AUTO_UPGRADE: "1" in its environment), or dump and restore'
            )
        return (
            f"MariaDB {shown(image)} does not read what MariaDB {shown(made)} has written: dump it with the newer image "
            f"(mariadb-dump --all-databases), start MariaDB {shown(image)} on a new volume, and restore the dump there"
        )

    def changes(self, made: Version, image: Version) -> str:
        """See `Data.changes`."""
        return (
            f"MariaDB {shown(image)} upgrades what MariaDB {shown(made)} has written"
            if newer(made, image)
            else ""
        )
