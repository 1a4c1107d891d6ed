"""Going back: without registry and vault, by tag, twice; and what pruning leaves for it."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import BACKEND, FIRST, SECOND, Run, command
from .faults import HOME, Bench, Command, again, edit

full = pytest.mark.full

THIRD = "sha-000000e"


@contextmanager
def nothing_but_the_host(bench: Bench) -> Iterator[None]:
    """Neither registry nor vault."""
    secrets = bench.core.lab.secrets
    away = secrets.with_name("secrets.away")
    secrets.rename(away)
    try:
        with bench.stopped("registry", "mirror"):
            yield
    finally:
        away.rename(secrets)


def test_going_back_needs_neither_registry_nor_vault(bench: Bench) -> None:
    again("deploy-core", "--tag", SECOND)
    bench.core.sh("docker image prune -f")
    log = bench.core.sh("wc -l < /var/log/dockerd.log")
    jwt = bench.core.sh(f"docker exec {BACKEND} sha256sum /run/secrets/jwt_secret")
    with nothing_but_the_host(bench):
        outcome = again("rollback")
        assert (outcome.core["outcome"], outcome.core["to"]) == ("deployed", FIRST)
        assert " pull " not in outcome.err
        assert bench.version() == FIRST
    assert "registry.ktrdr.internal" not in bench.core.sh(f"tail -n +{int(log) + 1} /var/log/dockerd.log")
    assert bench.core.sh(f"docker exec {BACKEND} sha256sum /run/secrets/jwt_secret") == jwt
    newest = bench.history()[-1]
    assert (newest["kind"], newest["command"]) == ("proven", "rollback")
    assert newest["release"]["restores"]
    bench.invariants(FIRST)


@full
@pytest.mark.usefixtures("broken")
def test_twice_goes_two_releases_back_with_the_configuration_of_each(bench: Bench, checkout: Path) -> None:
    rules = checkout / "monitoring/prometheus/rules/ktrdr.yml"
    edit(rules, "TargetDown", "TargetGone")
    again("deploy-core", "--tag", SECOND, root=checkout)
    again("deploy-core", "--tag", THIRD)
    on_host = f"cat {HOME}/monitoring/prometheus/rules/ktrdr.yml"
    assert again("rollback").core["to"] == SECOND
    assert "TargetGone" in bench.core.sh(on_host)
    bench.invariants(SECOND)
    assert again("rollback").core["to"] == FIRST
    assert "TargetDown" in bench.core.sh(on_host)
    bench.invariants(FIRST)


@full
@pytest.mark.usefixtures("broken")
def test_by_tag(bench: Bench) -> None:
    again("deploy-core", "--tag", SECOND)
    again("deploy-core", "--tag", THIRD)
    with nothing_but_the_host(bench):
        again("rollback", "--tag", FIRST, "--node", "core")
    bench.invariants(FIRST)


@pytest.mark.full
@pytest.mark.usefixtures("broken")
def test_a_tag_that_was_never_deployed_here(bench: Bench, checkout: Path) -> None:
    before = bench.core.containers()
    unknown = command("invoke", "rollback", "--tag", "sha-fffffff", "--node", "core", "--json")
    assert unknown.code == 3, unknown.err
    assert "ktrdr-backend:sha-fffffff" in unknown.err
    assert bench.core.containers() == before
    bench.core.sh(
        f"sed -i '/{THIRD}/d' {HOME}/.deploy/history.jsonl"
    )  # as on a host that has never seen this tag
    outcome = again("rollback", "--tag", THIRD, "--node", "core")
    assert "was never proven" in outcome.err
    bench.invariants(THIRD)


def test_a_release_is_gone_back_to_with_the_probes_that_proved_it(bench: Bench, checkout: Path) -> None:
    """A newer release may have to answer what the one before cannot."""
    edit(
        checkout / "deploy.toml",
        '"status" = "ok", "database" = "ok" }\ntimeout = 60',
        '"version" = "sha-0000002" }\ntimeout = 20',
    )
    again("deploy-core", "--tag", SECOND, root=checkout)
    edit(
        checkout / "deploy.toml",
        '"version" = "sha-0000002" }\ntimeout = 20',
        '"version" = "sha-0000009" }\ntimeout = 3',
    )
    (checkout / "monitoring/grafana/dashboards/more.json").write_text("{}")
    failing = command("invoke", "deploy-core", "--tag", SECOND, "--json", root=checkout)
    assert failing.code == 10, failing.err
    bench.invariants(SECOND)
    assert again("rollback", root=checkout).core["to"] == FIRST
    bench.invariants(FIRST)


@full
def test_a_rollback_that_is_killed(bench: Bench) -> None:
    again("deploy-core", "--tag", SECOND)
    since = bench.count()
    with bench.stuck("up -d"):
        command = Command("rollback", "--node", "core")
        bench.reached()
        command.process.kill()
        assert command.end() == -signal.SIGKILL
    bench.settle()
    assert bench.kinds(since) == ["started", "reverted"]
    bench.invariants(SECOND)
    assert again("rollback", "--node", "core").core["to"] == FIRST
    bench.invariants(FIRST)


@full
def test_a_release_that_fails_on_the_way_back_is_taken_forward_again(bench: Bench, deploy: Run) -> None:
    """A rollback goes through the same gate as a deployment."""
    again("deploy-core", "--tag", SECOND)
    # As if what the first release was proven with were no longer so, and deploy.toml knew nothing of it.
    words = "API answers with its database"
    bench.core.sh(
        f"""sed -i '/"tag":"{FIRST}"/{{s/"json":{{"status":"ok","database":"ok"}}/"json":{{"status":"well"}},"timeout":4/"""
        f""";s/{words}/API is well/}}' {HOME}/.deploy/history.jsonl"""
    )
    outcome = command("invoke", "rollback", "--json")
    assert outcome.code == 10, outcome.err
    bench.invariants(SECOND)


@full
@pytest.mark.usefixtures("broken")
def test_pruning_leaves_what_a_rollback_needs(bench: Bench, checkout: Path) -> None:
    edit(checkout / "deploy.toml", "keep_releases = 5", "keep_releases = 2")
    images = "docker images --digests --format '{{.ID}} {{.Repository}}' | sort -u"
    (old,) = {
        line.split()[0]
        for line in bench.core.sh(f"docker inspect -f '{{{{.Image}}}}' {BACKEND}").splitlines()
    }
    old = old.removeprefix("sha256:")[:12]
    again("deploy-core", "--tag", SECOND, root=checkout)
    assert old in bench.core.sh(images)
    (checkout / "monitoring/grafana/dashboards/more.json").write_text("{}")
    again("deploy-core", "--tag", THIRD, root=checkout)
    assert old not in bench.core.sh(images)
    kept = {
        digest
        for event in [e for e in bench.history() if e["kind"] == "proven"][-2:]
        for digest in event["release"]["files"].values()
    }
    assert set(bench.core.sh(f"ls {HOME}/.deploy/objects").split()) == kept
    bench.core.sh("docker image prune -f")
    with nothing_but_the_host(bench):
        assert again("rollback", root=checkout).core["to"] == SECOND
    bench.invariants(SECOND)
    gone = command("invoke", "rollback", "--tag", FIRST, "--node", "core", "--json", root=checkout)
    assert gone.code == 3, gone.err
    assert "no longer has all of release" in gone.err
    assert json.loads(gone.out)["exit"] == 3


@pytest.mark.full
@pytest.mark.usefixtures("broken")
def test_pruning_on_demand_removes_what_is_beyond_what_is_kept_and_nothing_a_rollback_needs(
    bench: Bench, checkout: Path
) -> None:
    old = bench.core.sh(f"docker inspect -f '{{{{.Image}}}}' {BACKEND}").strip()
    again("deploy-core", "--tag", SECOND)
    again("deploy-core", "--tag", THIRD)
    bench.core.sh(f"echo left behind > {HOME}/.deploy/objects/of-an-aborted-one")
    before, events = bench.core.containers(), bench.count()
    edit(checkout / "deploy.toml", "keep_releases = 5", "keep_releases = 2")
    foreseen = command("invoke", "prune", "--node", "core", "--dry-run", "--json", root=checkout)
    assert (foreseen.code, foreseen.core["outcome"], foreseen.core["pruned"]) == (0, "planned", [])
    outcome = command("invoke", "prune", "--node", "core", "--json", root=checkout)
    assert outcome.code == 0, outcome.err
    assert outcome.core["outcome"] == "pruned"
    assert outcome.core["pruned"] == foreseen.core["plan"]["removed"]
    assert {"file of-an-aborted-one", f"image {old}"} <= set(outcome.core["pruned"])
    assert bench.core.containers() == before
    assert bench.count() == events
    second = command("invoke", "prune", "--node", "core", "--json", root=checkout)
    assert (second.code, second.core["outcome"], second.core["pruned"]) == (0, "unchanged", [])
    with nothing_but_the_host(bench):
        assert again("rollback").core["to"] == SECOND
    bench.invariants(SECOND)


def test_pruning_on_demand_that_cannot_says_what_stays(bench: Bench) -> None:
    bench.core.sh(f"mkdir {HOME}/.deploy/objects/old")
    bench.hurt.append(lambda: bench.core.sh(f"rmdir {HOME}/.deploy/objects/old"))
    outcome = command("invoke", "prune", "--node", "core", "--json")
    assert outcome.code == 10, outcome.err
    assert "objects/old" in outcome.core["error"]
    assert "what ran before still runs" in outcome.core["error"]
    bench.invariants(FIRST)


@full
def test_pruning_that_fails_fails_nothing(bench: Bench) -> None:
    # What is no file cannot be removed as one.
    bench.core.sh(f"mkdir {HOME}/.deploy/objects/old")
    bench.hurt.append(lambda: bench.core.sh(f"rmdir {HOME}/.deploy/objects/old"))
    outcome = again("deploy-core", "--tag", SECOND, "--debug")
    assert "some old files or images could not be removed" in outcome.err
    bench.invariants(SECOND)
