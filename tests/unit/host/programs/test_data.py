"""Programs that keep data: which images have them, where the data lie, and which version takes which data."""

from collections.abc import Sequence
from typing import cast

import pytest

from deploy_lib.config import Stack, parse
from deploy_lib.config.parts import DATABASES
from deploy_lib.errors import UsageError
from deploy_lib.host.programs.data import Data, keeper_of, option, version
from deploy_lib.host.programs.mariadb import MariaDB
from deploy_lib.host.programs.mongo import MongoDB
from deploy_lib.host.programs.mysql import MySQL
from deploy_lib.host.programs.postgres import PostgreSQL
from deploy_lib.host.programs.redis import Redis
from deploy_lib.release.image import Image
from tests.unit import build, sample


def keeper(image: str) -> Data:
    found = keeper_of(build.node().stack, "db", Image.parse(image))
    assert found is not None, image
    return found


@pytest.mark.parametrize(
    ("image", "program"),
    [
        ("postgres:17", "postgres"),
        ("timescale/timescaledb-ha:pg15", "postgres"),
        ("registry.example:5000/x/postgis:17-3.5", "postgres"),
        ("bitnami/postgresql", "postgres"),
        ("ankane/pgvector", "postgres"),
        ("mariadb:11", "mariadb"),
        ("library/mysql:8", "mysql"),
        ("redis", "redis"),
        ("redis/redis-stack-server", "redis"),
        ("valkey/valkey:8", "redis"),
        ("mongo:7", "mongo"),
        ("prometheuscommunity/postgres-exporter", None),
        ("adminer", None),
        ("oliver006/redis_exporter", None),
        ("rediscommander/redis-commander", None),
        ("sha256:" + "a" * 64, None),
    ],
)
def test_an_image_is_known_by_the_last_word_of_its_name(image: str, program: str | None) -> None:
    found = keeper_of(build.node().stack, "db", Image.parse(image))
    assert (found.program if found else None) == program


@pytest.mark.parametrize(
    ("image", "environment", "command", "where"),
    [
        ("postgres:17", {}, (), "/var/lib/postgresql/data"),
        ("postgres:18", {"PGDATA": "/var/lib/postgresql/18/docker"}, (), "/var/lib/postgresql/18/docker"),
        ("timescale/timescaledb-ha:pg15", {}, (), "/home/postgres/pgdata/data"),
        ("postgres", {"PGDATA": "/a"}, ("postgres", "-D", "/b"), "/b"),
        ("mariadb", {}, ("mariadbd", "--datadir=/x"), "/x"),
        ("mariadb", {}, (), "/var/lib/mysql"),
        ("mysql", {}, (), "/var/lib/mysql"),
        ("redis", {}, ("redis-server", "--dir", "/x"), "/x"),
        ("redis", {}, (), "/data"),
        ("mongo", {}, (), "/data/db"),
    ],
)
def test_data_lie_where_the_command_the_environment_or_the_program_says(
    image: str, environment: dict[str, str], command: Sequence[str], where: str
) -> None:
    assert keeper(image).where(Image.parse(image), environment, command) == where


@pytest.mark.parametrize(
    ("image", "environment", "number"),
    [
        ("postgres:17.2-alpine", {}, (17,)),
        ("postgres:9.6", {}, (9, 6)),
        ("postgres:latest", {}, ()),
        ("postgres:latest", {"PG_MAJOR": "16"}, (16,)),
        ("postgres:latest", {"PATH": "/usr/lib/postgresql/15/bin:/usr/bin"}, (15,)),
        ("timescale/timescaledb:2.19.3-pg17", {}, (17,)),
        ("timescale/timescaledb:2.19.3", {}, ()),
        ("ankane/pgvector:v0.5.1", {}, ()),
        ("postgis/postgis:17-3.5", {}, (17,)),
        ("mariadb:11.4", {}, (11, 4)),
        ("mariadb:lts", {"MARIADB_VERSION": "1:11.4.2+maria~ubu2404"}, (11, 4)),
        ("mysql:8.4.3", {}, (8, 4)),
        ("redis:6.2", {}, (9,)),
        ("redis:7", {}, (12,)),
        ("redis:8.2", {}, ()),
        ("redis:latest", {"REDIS_VERSION": "7.2.1"}, (11,)),
        ("valkey/valkey:8.1", {}, (11,)),
        ("redis:latest", {}, ()),
    ],
)
def test_a_version_is_read_from_the_image_or_its_tag(
    image: str, environment: dict[str, str], number: tuple[int, ...]
) -> None:
    assert keeper(image).made_for(Image.parse(image), environment) == number


@pytest.mark.parametrize(
    ("image", "files", "environment", "refused"),
    [
        (
            "postgres:17",
            {"PG_VERSION": b"15\n"},
            {},
            "PostgreSQL 17 does not read what PostgreSQL 15 has written: dump it",
        ),
        ("postgres:15", {"PG_VERSION": b"17\n"}, {}, "PostgreSQL 15 does not read"),
        ("postgres:17.5", {"PG_VERSION": b"17\n"}, {}, ""),
        ("postgres:17", {}, {}, ""),
        ("postgres:17", {"PG_VERSION": b"\xff"}, {}, ""),
        (
            "mariadb:10.11",
            {"mariadb_upgrade_info": b"11.4.2-MariaDB"},
            {},
            "MariaDB 10.11 does not read what MariaDB 11.4",
        ),
        ("mariadb:11.4", {"mysql_upgrade_info": b"10.6.1-MariaDB\0"}, {}, "MARIADB_AUTO_UPGRADE"),
        ("mariadb:11.4", {"mysql_upgrade_info": b"10.6.1-MariaDB"}, {"MARIADB_AUTO_UPGRADE": "1"}, ""),
        ("mariadb:11", {"mariadb_upgrade_info": b"11.4.2-MariaDB"}, {}, ""),
        ("mysql:8.0", {"mysql_upgrade_info": b"8.4.0"}, {}, "MySQL 8.0 does not read"),
        ("mysql:8.4", {"mysql_upgrade_info": b"8.0.36"}, {}, ""),
        ("redis:7.0", {"dump.rdb": b"REDIS0012\xfa"}, {}, "format 12"),
        ("redis:7.4", {"dump.rdb": b"REDIS0009\xfa"}, {}, ""),
        ("redis:6.2", {"appendonly.aof": b"REDIS0011"}, {}, "format 11"),
        ("redis:6.2", {"appendonly.aof": b"*2\r\n$6"}, {}, ""),
        ("valkey/valkey:8", {"dump.rdb": b"REDIS0012"}, {}, "format 12"),
    ],
)
def test_what_a_version_does_not_read_is_refused_with_the_way_to_go(
    image: str, files: dict[str, bytes], environment: dict[str, str], refused: str
) -> None:
    known = keeper(image)
    made, wanted = known.made_by(files), known.made_for(Image.parse(image), {})
    said = known.refuses(made, wanted, environment) if made and wanted else ""
    assert refused in said
    assert bool(refused) is bool(said)


@pytest.mark.parametrize(
    ("image", "files", "said"),
    [
        (
            "mariadb:11.4",
            {"mysql_upgrade_info": b"10.6.1-MariaDB"},
            "MariaDB 11.4 upgrades what MariaDB 10.6 has written",
        ),
        ("mariadb:11", {"mysql_upgrade_info": b"11.4.2-MariaDB"}, ""),
        ("mysql:8.4", {"mysql_upgrade_info": b"8.0.36"}, "MySQL 8.4 upgrades what MySQL 8.0 has written"),
        ("mysql:8.0", {"mysql_upgrade_info": b"8.0.36"}, ""),
        ("redis:7.4", {"dump.rdb": b"REDIS0009\xfa"}, "its snapshots get format 12 instead of 9"),
        ("redis:7.4", {"dump.rdb": b"REDIS0012\xfa"}, ""),
        ("postgres:17", {"PG_VERSION": b"17\n"}, ""),
    ],
)
def test_what_a_newer_version_makes_of_data_is_said(image: str, files: dict[str, bytes], said: str) -> None:
    known = keeper(image)
    assert known.changes(known.made_by(files), known.made_for(Image.parse(image), {})) == said


@pytest.mark.parametrize(
    ("command", "value"),
    [
        (["x", "--dir", "/a"], "/a"),
        (["x", "--dir=/a"], "/a"),
        (["x", "-D/a"], "/a"),
        (["x", "--dir"], ""),
        (["x", "--directory=/a"], ""),
        ([], ""),
    ],
)
def test_an_option_has_its_value_in_one_word_or_in_two(command: list[str], value: str) -> None:
    assert option(command, "--dir", "-D") == value


def test_a_version_is_what_a_text_begins_with() -> None:
    assert [version(text) for text in ("17", "v2.19.3-pg17", "11.4-noble", "latest", "")] == [
        (17,),
        (2, 19),
        (11, 4),
        (),
        (),
    ]


def named(program: str) -> Stack:
    table = f'\n[[stacks.shop.databases]]\nprogram = "{program}"\nservice = "db"\ndirectory = "/x"\n'
    return parse(sample.DEPLOY + table).stacks["shop"]


def test_deploy_toml_names_the_program_of_an_image_that_does_not_say_it() -> None:
    stack = named("postgres")
    found = cast(Data, keeper_of(stack, "db", Image("acme/orders", "3")))
    assert (found.title, found.where(Image("acme/orders"), {"PGDATA": "/y"}, ())) == ("PostgreSQL", "/x")
    assert keeper_of(stack, "web", Image("acme/orders", "3")) is None


def test_a_program_that_is_no_part_of_the_library_is_a_file_or_a_module() -> None:
    stack = named("tests.outside.quest")
    found = cast(Data, keeper_of(stack, "db", Image("acme/orders", "3")))
    assert found.where(Image("x"), {}, ()) == "/x"
    with pytest.raises(UsageError, match="did you mean 'postgres'"):
        named("postgre")


def test_every_program_of_the_library_has_a_name_that_deploy_toml_can_use() -> None:
    assert DATABASES.known() == ["mariadb", "mongo", "mysql", "postgres", "redis"]
    assert {*DATABASES.every()} == {MariaDB, MongoDB, MySQL, PostgreSQL, Redis}
