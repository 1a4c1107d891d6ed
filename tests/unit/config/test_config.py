import re

import pytest

from deploy_lib.config import load, parse
from deploy_lib.errors import ExitCode, UsageError
from tests import ROOT

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
        (("switch_timeout = 300", "switch_timout = 300"), r"stacks\.core\.switch_timout: unknown key"),
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
        (('signal = "SIGHUP"', 'signal = "SIGHAP"'), r"stacks\.core\.reloads\.0\.signal: .*no signal"),
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
    assert environment.node_at("KTRDR-core.internal").name == "core"
    with pytest.raises(UsageError, match="knows no host 'elsewhere'"):
        environment.node_at("elsewhere")
    with pytest.raises(UsageError, match="no node 'X'"):
        environment.select(["X"])


def test_models_are_frozen() -> None:
    environment = load(ROOT, "lab")
    with pytest.raises(ValueError, match="frozen"):
        environment.name = "other"  # type: ignore[misc]
