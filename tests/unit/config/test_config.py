import re
from pathlib import Path

import pytest

from deploy_lib.config import Versions, load, parse
from deploy_lib.errors import ExitCode, UsageError
from tests import ROOT
from tests.unit import sample

TEXT = (ROOT / "deploy.toml").read_text()


def test_the_environment_is_homelab_unless_another_is_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEPLOY_ENV", raising=False)
    assert load(ROOT).name == "homelab"
    monkeypatch.setenv("DEPLOY_ENV", "lab")
    assert load(ROOT).name == "lab"
    monkeypatch.setenv("DEPLOY_ENV", "moon")
    with pytest.raises(UsageError, match=r"no environment 'moon'.*homelab, lab"):
        load(ROOT)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("switch_timeout = 300", "switch_timout = 300"),
            r"stacks\.core\.switch_timout: unknown key; did you mean switch_timeout\?",
        ),
        (
            ('compose = "compose/docker-compose.core.yml"\n', ""),
            r"stacks\.core\.compose: this key is missing",
        ),
        (
            ("switch_timeout = 300", 'switch_timeout = "long"'),
            r"stacks\.core\.switch_timeout: .*\(it is 'long'\)",
        ),
        (
            ('stack = "core"\ndirectory = "/opt', 'stack = "cone"\ndirectory = "/opt'),
            r"environments\.homelab\.nodes\.core\.stack: there is no stack 'cone'",
        ),
        (
            ('password = "GHCR_TOKEN"', 'password = "NOPE"'),
            r"environments\.homelab\.registry\.password names no secret",
        ),
        (
            ('directory = "/opt/ktrdr-core"', 'directory = "opt"'),
            r"environments\.homelab\.nodes\.core\.directory",
        ),
        (('path = ".lab/secrets.json"', 'path = "/etc/shadow"'), r"environments\.lab\.secrets\.path"),
        (
            ('stack = "core"\ndirectory = "targets"', 'stack = "cone"\ndirectory = "targets"'),
            r"stacks\.workers\.scrape\.stack: there is no stack 'cone'",
        ),
        (
            ('stack = "core"\ndirectory = "/opt', 'stack = "workers"\ndirectory = "/opt'),
            r"environments\.homelab: the stack core, which scrapes core, must be on one node",
        ),
        (
            ("replicas = { backtest = 1,", "replicas = { backtest = 4,"),
            r"environments\.homelab\.nodes\.B\.replicas\.backtest: .* has 3 services of that kind, not 4",
        ),
        (
            ('service = "backend"\nurl', "url"),
            r"stacks\.core\.probes\.0: give either service, or url and entry",
        ),
        (("[stacks.core]", "[stacks.core"), r"not valid TOML"),
        (
            ('signal = "SIGHUP"', 'signal = "SIGHAP"'),
            r"stacks\.core\.reloads\.0\.signal: .*not the name of a signal",
        ),
        (
            ('kind = "immutable"', 'kind = "immutabel"'),
            r"stacks\.core\.apply\.2\.kind: there is no program 'immutabel', did you mean 'immutable'\? "
            r"there are grafana-admin, immutable, mariadb-user, postgres-role, .*\(it is 'immutabel'\)",
        ),
        (('role = "DB_USER"\n', ""), r"stacks\.core\.apply\.0\.role: this key is missing"),
        (('role = "DB_USER"', 'role = "DB_ROLE"'), r"stacks\.core\.apply names no secret: 'DB_ROLE'"),
        (
            ('secret = "GF_ADMIN_PASSWORD"', 'secret = "DB_PASSWORD"'),
            r"stacks\.core\.apply: DB_PASSWORD has a step already, in core",
        ),
    ],
)
def test_a_mistake_is_one_line_with_the_keys_path(change: tuple[str, str], expected: str) -> None:
    assert change[0] in TEXT
    with pytest.raises(UsageError) as caught:
        parse(TEXT.replace(change[0], change[1], 1))
    assert caught.value.exit_code is ExitCode.USAGE
    assert re.match(r"deploy\.toml", str(caught.value))
    assert re.search(expected, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_node_is_found_by_its_host_and_no_other_is() -> None:
    environment = load(ROOT, "lab")
    assert [node.name for node in environment.nodes_at("KTRDR-core.internal")] == ["core"]
    with pytest.raises(UsageError, match="knows no host 'elsewhere'"):
        environment.nodes_at("elsewhere")
    with pytest.raises(UsageError, match="no node 'X'"):
        environment.select(["X"])


def test_models_are_frozen() -> None:
    environment = load(ROOT, "lab")
    with pytest.raises(ValueError, match="frozen"):
        environment.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('needs = ["shop"]', 'needs = ["shpo"]'), r"stacks\.jobs\.needs: .*'shpo', only shop; did you mean shop\?"),
        (('needs = ["shop"]', 'needs = ["jobs"]'), r"stacks\.jobs\.needs: there is no other stack 'jobs'"),
        (
            ('env_file = "shop.env"', 'env_file = "shop.env"\nneeds = ["jobs"]'),
            r"stacks\.shop\.needs: shop needs jobs needs shop, a circle",
        ),
        (('"house"', '"huose"'), r"default_environment: .*'huose', only house; did you mean house\?"),
        (('stack = "shop"', 'stack = "shpo"'), r"nodes\.front\.stack: .*did you mean shop\?"),
        (('host = "b.example"', 'host = "A.example"'), r"nodes\.east: night already has jobs on A\.example"),
        (('directory = "/srv/jobs"', 'directory = "/srv/shop"'), r"nodes\.night: front already has /srv/shop on a\.example"),
        (('directory = "/srv/jobs"', 'directory = "/srv//./shop/"'), r"nodes\.night: front already has /srv/shop on a\.example"),
        (('directory = "/srv/jobs"', 'directory = "/srv/shop/../jobs"'), r"nodes\.night\.directory: .*without \.\."),
        (('host = "b.example"', 'host = "me@a.example:22"'), r"nodes\.east: night already has jobs on me@a\.example:22"),
        *(
            (('http://127.0.0.1:8080/', url), rf"stacks\.shop\.probes\.0\.url: .*{said}")
            for url, said in (
                ("http://h:80800/", "Port out of range"),
                ("http://h:abc/", "Port could not be cast"),
                ("http://h:0/", "no port that there is"),
                ("http://:80/", "has no host"),
                ("http://[::1:80/", "Invalid IPv6 URL"),
                ("http://me@h/", "logs in nowhere"),
                # A terminal or CI's log is no place for what stands before the host.
                ("http://me:a-password@h/", r"\(it is 'http://\*\*\*@h/'\)"),
                ("http://h/ü", "as %XX"),
                ("https://h/", "should match pattern"),
            )
        ),
        (("nodes.front]", "nodes.all]"), r"environments\.house\.nodes\.all: `--node all`"),
        (("[secrets.DB_PASSWORD]", "[versions]\ncommit_tag = 'v'\n[secrets.DB_PASSWORD]"), r"versions\.commit_tag: .*\{sha:N\}"),
        (('default_tag = "HEAD"', 'default_tag = "a b"'), r"environments\.house\.default_tag"),
        (('replicas = { mailer', 'replcas = { mailer'), r"nodes\.night\.replcas: unknown key; did you mean replicas\?"),
        (("[[stacks.shop.probes]]", "[[stacks.shop.probe]]"), r"stacks\.shop\.probe: unknown key; did you mean probes\?"),
        (('service = "web"', 'servise = "web"'), r"stacks\.shop\.probes\.0\.servise: unknown key; did you mean service\?"),
    ],
)  # fmt: skip
def test_a_name_that_means_nothing_is_told_with_the_one_that_it_is_like(
    change: tuple[str, str], expected: str
) -> None:
    assert change[0] in sample.DEPLOY
    with pytest.raises(UsageError, match=expected) as caught:
        parse(sample.DEPLOY.replace(change[0], change[1], 1))
    assert "\n" not in str(caught.value)


def test_stacks_whose_tasks_would_have_one_name_are_refused() -> None:
    table = '\n[stacks.%s]\ncompose = "x.yml"\nenv_file = "x.env"\n'
    with pytest.raises(UsageError, match=r"stacks\.a-b: deploy-a-b already means something else"):
        parse(sample.DEPLOY + table % "a_b" + table % "a-b")
    with pytest.raises(UsageError, match=r"stacks\.all: deploy-all already means something else"):
        parse(sample.DEPLOY + table % "all")


def test_the_only_environment_needs_no_default_and_several_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEPLOY_ENV", raising=False)
    text = sample.DEPLOY.replace('default_environment = "house"\n', "")
    sample.project(tmp_path, deploy=text)
    assert load(tmp_path).name == "house"
    environment = text[text.index("[environments.house]") :]
    (tmp_path / "deploy.toml").write_text(text + environment.replace("house", "barn"))
    with pytest.raises(UsageError, match=r"several environments: barn, house\n  -> set DEPLOY_ENV"):
        load(tmp_path)


def test_what_comes_first_is_known_through_stacks_that_come_between(tmp_path: Path) -> None:
    more = '\n[stacks.mail]\ncompose = "x.yml"\nenv_file = "x.env"\nneeds = ["jobs"]\n'
    more += '\n[environments.house.nodes.post]\nhost = "c.example"\nstack = "mail"\ndirectory = "/srv/mail"\n'
    assert sample.environment(tmp_path, more=more).nodes["post"].needs == {"shop", "jobs"}


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [("sha-{sha:7}", "sha-0123456"), ("{sha:12}", "0123456789ab"), ("main-{sha:8}-x", "main-01234567-x")],
)
def test_a_commits_tag_is_made_and_read_by_one_pattern(pattern: str, tag: str) -> None:
    versions = Versions(commit_tag=pattern)
    sha = "0123456789abcdef" * 2 + "01234567"
    assert versions.tag_of(sha) == tag
    assert versions.digits_of(tag) == re.search(r"[0-9a-f]{7,}", tag)[0]  # type: ignore[index]
    assert versions.digits_of(f"{tag}0") is None


def test_an_environment_follows_a_branch_its_head_or_a_tag(tmp_path: Path) -> None:
    def default(tag: str) -> tuple[str | None, str | None]:
        text = sample.DEPLOY.replace('default_tag = "HEAD"', f'default_tag = "{tag}"')
        environment = sample.environment(tmp_path, deploy=text)
        return environment.follows, environment.fixed_tag

    assert default("HEAD") == (None, None)
    assert default("upstream/release/2") == ("upstream/release/2", None)
    assert default("stable") == (None, "stable")


def test_messages_name_tasks_as_the_project_types_them(tmp_path: Path) -> None:
    text = 'command = "uv run invoke"\n' + sample.DEPLOY.replace("stacks.shop", "stacks.my_shop")
    text = text.replace('"shop"', '"my_shop"')
    node = sample.environment(tmp_path, deploy=text).nodes["front"]
    assert node.task("status") == "uv run invoke status"
    assert node.deploy_task == "uv run invoke deploy-my-shop"


def test_an_environment_and_a_node_may_have_other_files_of_a_stack(tmp_path: Path) -> None:
    more = """
[environments.house.stacks.shop]
compose = ["shop.yml", "more.yml"]
files = { "b" = "y" }
"""
    deploy = sample.DEPLOY.replace('env_file = "shop.env"', 'env_file = "shop.env"\nfiles = { "a" = "x" }')
    deploy = deploy.replace(
        'directory = "/srv/shop"', 'directory = "/srv/shop"\nenv_file = ["shop.env", "front.env"]'
    )
    nodes = sample.environment(tmp_path, deploy=deploy, more=more).nodes
    stack = nodes["front"].stack
    assert stack.compose == ("shop.yml", "more.yml")
    assert stack.env_file == ("shop.env", "front.env")
    assert stack.files == {"a": "x", "b": "y"}
    assert stack.probes
    assert nodes["east"].stack.compose == ("jobs.yml",)
    with pytest.raises(
        UsageError, match=r"environments.house.stacks: there is no stack 'shp'.*did you mean shop"
    ):
        sample.environment(tmp_path, more="[environments.house.stacks.shp]\n")
    with pytest.raises(UsageError, match=r"inside the folder of deploy.toml"):
        sample.environment(tmp_path, more='[environments.house.stacks.shop]\ncompose = ["../a.yml"]\n')


def minimal(environment: str = "", top: str = "") -> str:
    return f"""
{top}
[stacks.web]
compose = "web.yml"
env_file = "web.env"
[environments.home]
{environment}
[environments.home.nodes.one]
host = "one.example"
stack = "web"
directory = "/opt/web"
"""


def test_a_project_needs_neither_a_registry_nor_a_secret(tmp_path: Path) -> None:
    (tmp_path / "deploy.toml").write_text(minimal())
    found = load(tmp_path)
    assert (found.image_registry, found.registries, found.secret_source) == ("", (), None)
    assert found.follows is None
    with pytest.raises(
        UsageError, match=r"environments\.home\.image_registry is missing, so no image can be pushed"
    ):
        _ = found.registry


SEVERAL = """
image_registry = "ghcr.io/me"
registry = { username = "me", password = "A" }
secrets = { source = "environment" }
registries = [{ host = "docker.io", username = "hub", password = "B" }, { host = "r.example:5000", username = "r", password = "A" }]
"""
TWO = '[secrets.A]\nfield = "a"\n[secrets.B]\nfield = "b"\n'


def test_the_short_form_is_the_login_at_the_projects_own_registry(tmp_path: Path) -> None:
    (tmp_path / "deploy.toml").write_text(minimal(SEVERAL, TWO))
    found = load(tmp_path)
    assert [(r.host, r.username, r.password) for r in found.registries] == [
        *(("ghcr.io", "me", "A"), ("docker.io", "hub", "B"), ("r.example:5000", "r", "A")),
    ]
    assert found.registry.username == "me"


@pytest.mark.parametrize(
    ("source", "fields", "same"),
    [
        (
            'source = "1password", vault = "V", item = "home"',
            [
                'field = "pw"',
                'field = "op://V/home/pw"',
                'field = "pw"\nitem = "home"',
                'field = "pw"\nitem = "x"',
            ],
            ["A", "B", "C"],
        ),
        ('source = "environment"', ['field = "pw"', 'field = "op://V/home/pw"'], ["A"]),
    ],
)
def test_two_names_of_one_value_are_known_however_its_place_is_written(
    tmp_path: Path, source: str, fields: list[str], same: list[str]
) -> None:
    tables = "".join(f"[secrets.{name}]\n{field}\n" for name, field in zip("ABCD", fields, strict=False))
    (tmp_path / "deploy.toml").write_text(minimal(f"secrets = {{ {source} }}\n", tables))
    assert load(tmp_path).names_of("A") == same


def test_a_secret_without_a_field_has_its_own_name_in_its_source(tmp_path: Path) -> None:
    (tmp_path / "deploy.toml").write_text(minimal(SEVERAL, "[secrets.A]\n[secrets.B]\nmin_length = 3\n"))
    found = load(tmp_path).secrets
    assert {name: spec.field for name, spec in found.items()} == {"A": "A", "B": "B"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('image_registry = "ghcr.io/me"', ""), r"environments\.home: registry is the login at .* image_registry, which is missing"),
        (('host = "docker.io"', 'host = "GHCR.io"'), r"registries\.0\.host: GHCR\.io has a login already, in registry"),
        (('"r.example:5000"', '"index.docker.io"'), r"registries\.1\.host: index\.docker\.io has a login already, in registries\.0"),
        (('password = "B"', 'password = "C"'), r"environments\.home\.registries\.0\.password names no secret: 'C'"),
        (('"r.example:5000"', '"https://r.example"'), r"environments\.home\.registries\.1\.host: "),
    ],
)  # fmt: skip
def test_a_login_that_makes_no_sense_is_named(change: tuple[str, str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        parse(minimal(SEVERAL.replace(*change), TWO))


ROWS = sample.BACKUPS


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('check = ["check"]\n', ""), r"stacks\.shop\.backups\.0\.check: this key is missing"),
        (('restore = ["load"]', "restore = []"), r"stacks\.shop\.backups\.0\.restore: .*at least 1 item"),
        (('name = "rows"', 'name = "Rows of it"'), r"stacks\.shop\.backups\.0\.name"),
        (('name = "rows"', 'name = "rows"\nkeep = 0'), r"stacks\.shop\.backups\.0\.keep: .*greater than or equal to 1"),
        (('name = "rows"', 'name = "rows"\ntimeout = "1"'), r"stacks\.shop\.backups\.0\.timeout"),
        (('name = "rows"', 'name = "rows"\nkepp = 3'), r"stacks\.shop\.backups\.0\.kepp: unknown key; did you mean keep\?"),
        (('name = "rows"', 'name = "rows"\nstop = ["db"]'), r"stacks\.shop\.backups\.0: db has to run while"),
        ((ROWS, ROWS + ROWS), r"stacks\.shop\.backups: two of them have the name 'rows'"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_backup_is_one_line_with_the_keys_path(change: tuple[str, str], expected: str) -> None:
    text = sample.DEPLOY + ROWS
    assert parse(text).stacks["shop"].backups[0].keep == 5
    with pytest.raises(UsageError, match=expected) as caught:
        parse(text.replace(*change))
    assert "\n" not in str(caught.value)


def test_a_host_may_have_a_user_and_a_port_and_is_found_without_them(tmp_path: Path) -> None:
    text = sample.DEPLOY.replace('host = "a.example"', 'host = "me@[fe80::1%eth0]:2201"')
    text = text.replace('host = "b.example"', 'host = "[fe80::1%eth0]:2202"')
    environment = sample.environment(tmp_path, deploy=text)
    both = [node.name for node in environment.nodes_at("[FE80::1%eth0]:2201")]
    assert both == [node.name for node in environment.nodes_at("you@[fe80::1%eth0]:2201")]
    assert [node.name for node in environment.nodes_at("[fe80::1%eth0]:2202")] == ["east"]
    assert set(both) == {"front", "night"}
    with pytest.raises(UsageError, match=r"means several hosts: .*2201, .*2202"):
        environment.nodes_at("fe80::1%eth0")
    for wrong in ("a:port", "-oProxyCommand=id", ""):
        with pytest.raises(UsageError):
            environment.nodes_at(wrong)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("gw.example:2222", {"east"}),
        ("you@GW.example:02222", {"east"}),
        ("gw.example:22", {"front", "night"}),
    ],
)
def test_of_two_hosts_behind_one_address_only_the_one_with_the_port_is_meant(
    tmp_path: Path, host: str, expected: set[str]
) -> None:
    text = sample.DEPLOY.replace("a.example", "gw.example").replace("b.example", "gw.example:2222")
    environment = sample.environment(tmp_path, deploy=text)
    assert {node.name for node in environment.nodes_at(host)} == expected
    with pytest.raises(UsageError, match=r"means several hosts: gw\.example, gw\.example:2222"):
        environment.nodes_at("gw.example")


@pytest.mark.parametrize("host", ["a b", "a:0", "-x", "@a", "$(id)", ""])
def test_a_host_that_is_no_destination_is_told_by_its_key(host: str) -> None:
    with pytest.raises(UsageError, match=r"nodes\.east\.host: "):
        parse(sample.DEPLOY.replace('host = "b.example"', f'host = "{host}"'))
