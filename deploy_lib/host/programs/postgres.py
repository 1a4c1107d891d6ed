"""PostgreSQL: where its data lie, and a role's password: it keeps a verifier, which is computed here, and never gets the password."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Literal

from deploy_lib.config.fields import EnvName
from deploy_lib.host.programs import REFUSED, Program
from deploy_lib.host.programs.data import Data, Version, option, shown, version
from deploy_lib.release.image import Image
from deploy_lib.secrets.value import Secret
from deploy_lib.shell import quote

_PSQL = """\
get; export PGUSER="$v" PGDATABASE=postgres PGCONNECT_TIMEOUT=5
psql() { command psql -wqAtX -v ON_ERROR_STOP=1 -v VERBOSITY=terse "$@"; }
"""

_COPY = "SELECT coalesce(quote_literal(rolpassword), 'NULL') FROM pg_authid WHERE rolname = current_user"
KEEPS = f"""{_PSQL}\
echo {quote(_COPY)} | psql
"""

_QUIET = {
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "pg_stat_statements.track_utility": "off",
    "pgaudit.log": "none",
}
"""What switches off whatever could write a statement down."""

# An older server, or one without an extension, lacks some of them, and fails where one is set that it lacks.
_SETTINGS = ", ".join(f"('{name}', '{value}')" for name, value in _QUIET.items())
_HUSH = f"SELECT set_config(name, quiet, false) FROM (VALUES {_SETTINGS}) AS q (name, quiet) JOIN pg_settings USING (name)"  # noqa: S608 - these constants alone

CHANGE = f"""{_PSQL}\
get
printf '%s;\\n' {quote(_HUSH)} "ALTER ROLE CURRENT_USER PASSWORD $v" | psql >/dev/null
"""
"""The value is an SQL literal of the verifier, or NULL. Logs that could contain the statement are switched off for it."""

TAKES = f"""{_PSQL}\
get
# Not by way of 127.0.0.1, from where the image lets anybody in.
set -- $(hostname -i)
takes() ( export PGPASSWORD="$v"; echo 'SELECT 1' | psql -h "$1" >/dev/null 2>&1 )
ready() {{ pg_isready -q -h "$1" && echo 'SELECT 1' | psql >/dev/null 2>&1; }}
takes "$1" && exit
# What psql says is in the server's language, so a refusal looks as if the server were starting, or had no connection left. One
# that lets in by its socket, before and after, has refused.
ready "$1" || exit 2
takes "$1" && exit
ready "$1" || exit 2
exit {REFUSED}
"""


class PostgresRole(Program):
    """PostgreSQL keeps a role's password in its data; `ALTER ROLE` changes it there.

    Attributes:
        role: the secret that names the role; a superuser, as the one is that the image makes.
    """

    kind: Literal["postgres-role"]
    role: EnvName

    def uses(self) -> tuple[str, ...]:
        """See `Apply.uses`."""
        return (self.role,)

    def keeps(self) -> str:
        """See `Program.keeps`."""
        return self.inside(KEEPS, f'"${self.role}"')

    def change(self) -> str:
        """See `Program.change`."""
        return self.inside(CHANGE, f'"${self.role}"', '"$1"')

    def takes(self) -> str:
        """See `Program.takes`."""
        return self.inside(TAKES, f'"${self.role}"', '"$1"')

    def hand(self, value: Secret) -> Secret:
        """See `Program.hand`; an SQL literal of the verifier."""
        from deploy_lib.secrets.scram import SALT_BYTES, verifier

        return Secret(f"'{verifier(value, secrets.token_bytes(SALT_BYTES)).reveal()}'")


_SHARED = re.compile(r"(?:^|[^a-z])pg-?(\d+)")
_PATH = re.compile(r"/(?:postgresql|pgsql-?)/?(\d+)/bin")


class PostgreSQL(Data):
    """PostgreSQL: each major version has its own format on disk, and none reads another's."""

    IMAGES = re.compile(r"(^|[/_-])(postgres(ql)?|timescaledb(-ha)?|postgis|pgvector|supabase-postgres)$")
    VARIABLES = ("PGDATA", "PG_MAJOR", "PATH")
    OPTIONS = ("-D", "--pgdata")
    FILES = ("PG_VERSION",)

    program: Literal["postgres"] = "postgres"

    def where(self, image: Image, environment: Mapping[str, str], command: Sequence[str]) -> str:
        """See `Data.where`."""
        usual = "/var/lib/postgresql/data"
        if image.repository.endswith("timescaledb-ha"):
            usual = "/home/postgres/pgdata/data"
        elif "bitnami" in image.repository:
            usual = "/bitnami/postgresql/data"
        return self.directory or option(command, *self.OPTIONS) or environment.get("PGDATA") or usual

    def made_by(self, files: Mapping[str, bytes]) -> Version:
        """See `Data.made_by`."""
        return _major(version(files.get("PG_VERSION", b"").decode(errors="replace").strip()))

    def made_for(self, image: Image, environment: Mapping[str, str]) -> Version:
        """See `Data.made_for`."""
        if found := version(environment.get("PG_MAJOR", "")):
            return _major(found)
        if path := _PATH.search(environment.get("PATH", "")):
            return (int(path[1]),)
        # TimescaleDB's tags begin with a version of its own.
        if tagged := _SHARED.search(image.tag):
            return (int(tagged[1]),)
        return (
            ()
            if "timescale" in image.repository or "vector" in image.repository
            else _major(version(image.tag))
        )

    def refuses(self, made: Version, image: Version, environment: Mapping[str, str]) -> str:
        """See `Data.refuses`."""
        if made == image:
            return ""
        return (
            f"PostgreSQL {shown(image)} does not read what PostgreSQL {shown(made)} has written: dump it with the old image "
            f"(pg_dumpall), start PostgreSQL {shown(image)} on a new volume, and restore the dump there"
        )


def _major(number: Version) -> Version:
    return number[:1] if number and number[0] >= 10 else number
