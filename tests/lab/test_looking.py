"""The commands that look: each check broken on purpose, drift of every kind, and logs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import hosts
from lab.layout import Lab

from .changes import Shell, await_seen, reload_sshd, unreachable_registry
from .conftest import BACKEND, FIRST, ROOT, SECOND, Host, Outcome, Run, command, environment

# --- preflight --------------------------------------------------------------------------------------------

FAKE = "#!/bin/sh\n"
UNANSWERED = f'{FAKE}[ "$1" != info ] || {{ /usr/bin/docker "$@" | grep -v "^engine "; exit; }}\n'
"""Docker without a word about the engine's version."""


@dataclass(frozen=True)
class Broken:
    """One thing that is wrong, and what is to be said of it.

    Attributes:
        edits: in a copy of the checkout: by file, the text that is replaced, and what by.
        script, undo: on the core host.
        notice: makes the host notice either.
        files: on the core host, programs that are found before the real ones.
    """

    check: str
    said: str
    hint: str
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)
    script: str = ""
    undo: str = ""
    notice: Callable[[Shell], None] = lambda sh: None
    files: dict[str, str] = field(default_factory=dict)
    tag: str = FIRST


def toml(check: str, said: str, hint: str, old: str, new: str) -> Broken:
    return Broken(check, said, hint, edits={"deploy.toml": (old, new)})


PLUGIN = "/usr/libexec/docker/cli-plugins/docker-compose"
AWAY = "mv {0} {0}.away"
BACK = "mv {0}.away {0}"
NO_FORWARDS = "/etc/ssh/sshd_config.d/a.conf"

BROKEN = {
    "name": toml(
        "name resolution",
        "does not resolve",
        "HostName",
        'ssh_config = ".lab/ssh_config"',
        'ssh_config = "name"',
    ),
    "tcp": toml(
        "TCP", "no TCP connection", "sshd listening", 'ssh_config = ".lab/ssh_config"', 'ssh_config = "tcp"'
    ),
    "host key": toml(
        "host key",
        "is not known",
        "set UserKnownHostsFile",
        'ssh_config = ".lab/ssh_config"',
        'ssh_config = "key"',
    ),
    "login": toml(
        "login",
        "refused the login",
        "SSH_AUTH_SOCK",
        'ssh_config = ".lab/ssh_config"',
        'ssh_config = "login"',
    ),
    "forwarding": Broken(
        "forwarding",
        "forbids TCP forwarding",
        "AllowTcpForwarding",
        script=f"echo AllowTcpForwarding no > {NO_FORWARDS}",
        undo=f"rm {NO_FORWARDS}",
        notice=reload_sshd,
    ),
    "tools": Broken(
        "tools",
        "lacks flock",
        "util-linux",
        script=AWAY.format("/usr/bin/flock"),
        undo=BACK.format("/usr/bin/flock"),
    ),
    "permission": Broken(
        "permission",
        "permission denied",
        "usermod -aG docker",
        files={
            "docker": f'{UNANSWERED}[ "$1" != version ] || {{ echo "permission denied while trying to connect" >&2; exit 1; }}\nexec /usr/bin/docker "$@"\n'
        },
    ),
    "engine": Broken(
        "Docker Engine",
        "Cannot connect",
        "systemctl status docker",
        files={
            "docker": f'{UNANSWERED}[ "$1" != version ] || {{ echo "Cannot connect to the Docker daemon" >&2; exit 1; }}\nexec /usr/bin/docker "$@"\n'
        },
    ),
    "engine version": toml(
        "Docker Engine", "at least 99.0 is needed", "update it to 99.0", 'engine = "25.0"', 'engine = "99.0"'
    ),
    "compose version": toml(
        "Compose plugin", "at least 9.1 is needed", "update it to 9.1", 'compose = "2.20"', 'compose = "9.1"'
    ),
    "compose": Broken(
        "Compose plugin",
        "compose",
        "docker-compose plugin",
        script=AWAY.format(PLUGIN),
        undo=BACK.format(PLUGIN),
    ),
    "memory-backed space": Broken(
        "memory-backed space",
        "tmpfs",
        "mount a tmpfs",
        files={"stat": f'{FAKE}[ "$1" != -f ] || {{ echo ext2/ext3; exit; }}\nexec /usr/bin/stat "$@"\n'},
    ),
    "directory": toml(
        "directory",
        "/etc/hostname/no does not exist",
        "create /etc/hostname/no",
        'directory = "/opt/ktrdr-core"',
        'directory = "/etc/hostname/no"',
    ),
    "images' space": toml(
        "space for images", "MiB free", "docker image prune", "docker_mib = 4096", "docker_mib = 999999999"
    ),
    "files' space": toml(
        "space for files", "MiB free", "free some space", "directory_mib = 64", "directory_mib = 999999999"
    ),
    "memory": toml("memory", "MiB free", "give the host more", "memory_mib = 512", "memory_mib = 999999999"),
    "ports": Broken(
        "ports",
        "22, for grafana, is in use by another program",
        "ss -lntup",
        edits={"compose/docker-compose.core.yml": ('"3000:3000"', '"22:3000"')},
    ),
    "compose file": Broken(
        "Compose file",
        "nowhere",
        "fix compose/docker-compose.core.yml",
        edits={"compose/docker-compose.core.yml": ("db: { condition", "nowhere: { condition")},
    ),
    "no value": Broken(
        "variables",
        "LOG_LEVEL has no value",
        "compose/.env.core",
        edits={"compose/.env.core": ("LOG_LEVEL=INFO\n", "")},
    ),
    "two values": Broken(
        "variables",
        "JWT_SECRET is a secret, and has a value in compose/.env.core, too",
        "take",
        edits={"compose/.env.core": ("LOG_LEVEL=INFO\n", "LOG_LEVEL=INFO\nJWT_SECRET=oops\n")},
    ),
    "storage": toml(
        "shared storage",
        "nothing is mounted at /mnt/nothing",
        "mount -t nfs4",
        "healthy_timeout = 180",
        'healthy_timeout = 180\nshared_storage = "/mnt/nothing"',
    ),
    "secrets": toml(
        "secrets",
        "GF_ADMIN_PASSWORD (field grafana) is missing; JWT_SECRET (field jwt_secret) has fewer than 999",
        "set these fields",
        'field = "jwt_secret"\nmin_length = 32\n\n[secrets.GF_ADMIN_PASSWORD]\nfield = "grafana_password"',
        'field = "jwt_secret"\nmin_length = 999\n\n[secrets.GF_ADMIN_PASSWORD]\nfield = "grafana"',
    ),
    "registry login": toml(
        "registry login", "unauthorized", "read:packages", 'username = "lab"', 'username = "somebody"'
    ),
    "image": Broken(
        "image ktrdr-backend:sha-fffffff", "manifest unknown", "has CI built and pushed", tag="sha-fffffff"
    ),
}


QUICK = (
    "host key",
    "login",
    "forwarding",
    "tools",
    "permission",
    "engine",
    "directory",
    "ports",
    "compose file",
    "no value",
    "storage",
    "secrets",
    "registry login",
    "image",
)
"""What only a real host, or a real registry, can refuse; for the others the unit tests have what a host says."""


def ssh_configs(lab: Lab, checkout: Path) -> None:
    """Ways not to reach a host."""
    right = lab.ssh_config.read_text()
    ways = {
        "name": "HostName no.such.name.invalid",
        "tcp": "Port 1",
        "key": "UserKnownHostsFile /dev/null",
        "login": "IdentityFile /dev/null",
    }
    for name, line in ways.items():
        # The first value counts, but for keys, all of which are tried.
        kept = [x for x in right.splitlines() if "IdentityFile" not in x or name != "login"]
        (checkout / name).write_text("\n".join([f"Host ktrdr-core.internal\n{line}", *kept]) + "\n")


@contextmanager
def broken(what: Broken, core: Host, lab: Lab, checkout: Path) -> Iterator[None]:
    ssh_configs(lab, checkout)
    for name, (old, new) in what.edits.items():
        text = (checkout / name).read_text()
        assert old in text, name
        # In deploy.toml the lab's environment comes last.
        (checkout / name).write_text(
            new.join(text.rsplit(old, 1)) if "/opt" in old or "name" in old else text.replace(old, new, 1)
        )
    for name, content in what.files.items():
        hosts.execute(
            lab,
            "core",
            "sh",
            "-c",
            f"cat > /usr/local/bin/{name}; chmod 755 /usr/local/bin/{name}",
            stdin=content.encode(),
        )
    core.sh(what.script or ":")
    what.notice(core.sh)
    try:
        yield
    finally:
        core.sh(what.undo or ":")
        what.notice(core.sh)
        for name in what.files:
            core.sh(f"rm /usr/local/bin/{name}")


def results(outcome: Outcome, *, node: str = "core") -> dict[str, dict[str, Any]]:
    """All checks of a node and of this machine that are not ok, by name."""
    document = outcome.document
    checks = [*document["checks"], *document["nodes"][node]["checks"]]
    return {check["name"]: check for check in checks if check["result"] in ("failed", "deferred")}


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.full]) for name in BROKEN]
)
def test_each_check_fails_by_itself_with_its_mend_and_touches_nothing(
    core: Host, lab: Lab, checkout: Path, name: str
) -> None:
    what, before = BROKEN[name], core.state()
    with broken(what, core, lab, checkout):
        outcome = command("invoke", "preflight", "--node", "core", "--tag", what.tag, "--json", root=checkout)
    assert outcome.code == 3, outcome.err
    found = results(outcome)
    assert what.check in found
    assert what.said in found[what.check]["problem"]
    assert what.hint in found[what.check]["mend"]
    # What hangs on it may fail as well: without an engine, nothing is known of its space and its containers.
    alone = name not in (
        "engine",
        "permission",
        "compose",
        "compose file",
        "memory-backed space",
        "secrets",
        "directory",
    )
    assert not alone or set(found) == {what.check}
    assert f"{what.check}: " in outcome.err
    assert what.hint in outcome.err
    assert core.state() == before


@pytest.mark.usefixtures("stack")
def test_all_is_well_and_said_so_and_a_broken_deployment_is_stopped_by_the_same_checks(
    core: Host, lab: Lab, checkout: Path, deploy: Run
) -> None:
    outcome = command("invoke", "preflight", "--node", "core", "--tag", FIRST)
    assert outcome.code == 0, outcome.err
    assert "40 passed" in outcome.out
    assert "FAILED" not in outcome.out
    before = core.state()
    with broken(BROKEN["memory"], core, lab, checkout):
        refused = deploy("--tag", SECOND, root=checkout)
    assert refused.code == 3
    assert "memory: the host has" in refused.err
    assert core.state() == before


@pytest.mark.usefixtures("stack")
def test_a_clock_that_is_off_is_said_and_stops_nothing(core: Host, lab: Lab, checkout: Path) -> None:
    slow = Broken("clock", "", "", files={"date": f"{FAKE}echo $(($(/usr/bin/date +%s) - 3000))\n"})
    with broken(slow, core, lab, checkout):
        outcome = command("invoke", "preflight", "--node", "core", "--tag", FIRST, root=checkout)
    assert outcome.code == 0, outcome.err
    # Counted from when the question was sent, which on a busy machine is seconds before the host reads its clock.
    off = re.search(r"core: warning: clock: it is (\d+) s behind this machine's", outcome.err)
    assert off, outcome.err
    assert 2900 < int(off[1]) <= 3010


@pytest.mark.usefixtures("stack")
def test_all_failures_come_at_once_from_all_nodes_side_by_side(lab: Lab, checkout: Path) -> None:
    text = (checkout / "deploy.toml").read_text()
    (checkout / "deploy.toml").write_text(
        text.replace("memory_mib = 512", "memory_mib = 999999999")
        .replace("docker_mib = 4096", "docker_mib = 999999999")
        .replace("min_length = 32", "min_length = 999")
    )
    outcome = command("invoke", "preflight", "--tag", FIRST, "--json", root=checkout)
    assert outcome.code == 3
    assert set(results(outcome)) >= {"secrets", "memory", "space for images"}
    nodes = outcome.document["nodes"]
    assert all("memory" in results(outcome, node=node) for node in nodes)
    assert max(n["began"] for n in nodes.values()) < min(n["ended"] for n in nodes.values())


@pytest.mark.usefixtures("stack")
def test_storage_that_the_same_command_brings_is_deferred(checkout: Path) -> None:
    text = (checkout / "deploy.toml").read_text()
    (checkout / "deploy.toml").write_text(text.replace('"/mnt/ktrdr-shared"', '"/mnt/nothing"'))
    both = command(
        "invoke", "preflight", "--node", "core", "--node", "B", "--tag", FIRST, "--json", root=checkout
    )
    assert both.code == 0, both.err
    assert results(both, node="B")["shared storage"]["result"] == "deferred"
    alone = command(
        "fab", "-H", "ktrdr-workers-b.internal", "preflight", "--tag", FIRST, "--json", root=checkout
    )
    assert alone.code == 3
    assert results(alone, node="B")["shared storage"]["result"] == "failed"


@pytest.mark.usefixtures("stack")
def test_a_registry_that_is_gone_is_a_warning_where_the_host_has_the_recorded_image(core: Host) -> None:
    with unreachable_registry(core.sh):
        recorded = command("invoke", "preflight", "--node", "core", "--tag", FIRST, "--json")
        other = command("invoke", "preflight", "--node", "core", "--tag", SECOND, "--json")
    assert recorded.code == 0, recorded.err
    checks = {check["name"]: check for check in recorded.core["checks"]}
    image = checks[f"image ktrdr-backend:{FIRST}"]
    assert (image["result"], "is on the host, and is used" in image["problem"]) == ("warning", True)
    assert other.code == 3
    assert f"image ktrdr-backend:{SECOND}" in results(other)


# --- status -----------------------------------------------------------------------------------------------

DIRECTORY = "/opt/ktrdr-core"


def status() -> Outcome:
    return command("invoke", "status", "--node", "core", "--json", OP_SERVICE_ACCOUNT_TOKEN="")


@pytest.fixture
def recorded(stack: None) -> None:
    outcome = status()
    assert (outcome.code, outcome.core["outcome"], outcome.core["drift"]) == (0, "as recorded", []), (
        outcome.out
    )


@pytest.mark.usefixtures("recorded")
def test_status_says_what_runs_and_who_deployed_it_and_needs_no_secret(lab: Lab) -> None:
    away = lab.secrets.rename(lab.secrets.with_suffix(".away"))
    try:
        outcome = command("invoke", "status")
    finally:
        away.rename(lab.secrets)
    assert outcome.code == 0, outcome.err
    for word in ("backend", FIRST, "healthy", "8000", "as recorded", "root"):
        assert word in outcome.out, word


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("change", "undo", "words"),
    [
        (
            f"cp -p {DIRECTORY}/.env.core /run/kept; echo '# by hand' >> {DIRECTORY}/.env.core",
            f"cp -p /run/kept {DIRECTORY}/.env.core",
            "the file .env.core was edited on the host",
        ),
        (
            f"echo > {DIRECTORY}/monitoring/prometheus/rules/more.yml",
            f"rm {DIRECTORY}/monitoring/prometheus/rules/more.yml",
            "the file monitoring/prometheus/rules/more.yml is not part of the release",
        ),
        ("docker stop -t 1 ktrdr-core-jaeger-1", "docker start ktrdr-core-jaeger-1", "ktrdr-core-jaeger-1 is exited"),
        (
            "docker tag $(docker inspect -f '{{.Image}}' ktrdr-core-db-1) registry.ktrdr.internal:5443/ktrdr/ktrdr-backend:sha-0000001",
            "docker rmi registry.ktrdr.internal:5443/ktrdr/ktrdr-backend:sha-0000001",
            "the tag registry.ktrdr.internal:5443/ktrdr/ktrdr-backend:sha-0000001 on the host points to another image",
        ),
        (
            "docker create --label com.docker.compose.project=ktrdr-core --label com.docker.compose.service=jaeger"
            " --label com.docker.compose.oneoff=False --label com.docker.compose.container-number=2 --name ktrdr-core-jaeger-2 $(docker inspect -f '{{.Config.Image}}' ktrdr-core-jaeger-1)",
            "docker rm ktrdr-core-jaeger-2",
            "jaeger has 2 containers, and the release has 1",
        ),
    ],
    ids=["edited file", "added file", "stopped container", "retagged image", "scaled service"],
)  # fmt: skip
def test_what_was_changed_by_hand_shows_as_what_it_is(core: Host, change: str, undo: str, words: str) -> None:
    core.sh(change)
    try:
        outcome = status()
    finally:
        core.sh(undo)
    assert outcome.code == 12
    assert outcome.core["outcome"] == "drift"
    assert [line for line in outcome.core["drift"] if line.startswith(words)], outcome.core["drift"]
    deadline = time.monotonic() + 30
    while status().code:
        assert time.monotonic() < deadline, status().core["drift"]
        time.sleep(0.5)


@pytest.mark.usefixtures("recorded")
def test_an_unreachable_node_does_not_hide_the_others(lab: Lab, checkout: Path) -> None:
    ssh_configs(lab, checkout)
    text = (checkout / "deploy.toml").read_text()
    (checkout / "deploy.toml").write_text(text.replace('".lab/ssh_config"', '"tcp"'))
    outcome = command("invoke", "status", "--json", root=checkout)
    assert outcome.code == 3
    nodes = outcome.document["nodes"]
    assert {name: node["outcome"] for name, node in nodes.items()}["core"] == "unreachable"
    assert nodes["B"]["error"] is None
    assert "no TCP connection" in outcome.err


@pytest.mark.usefixtures("recorded")
def test_an_interrupted_release_shows_as_interrupted(core: Host) -> None:
    history = f"{DIRECTORY}/.deploy/history.jsonl"
    core.sh(
        f'cp -p {history} /run/kept && tail -n 1 {history} | sed \'s/"kind":"[a-z]*"/"kind":"started"/\' >> {history}'
    )
    try:
        outcome = status()
    finally:
        core.sh(f"cp -p /run/kept {history}")
    assert (outcome.code, outcome.core["outcome"]) == (12, "interrupted")
    assert "was interrupted" in outcome.core["drift"][0]


# --- logs -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stack")
def test_logs_of_several_nodes_are_prefixed_and_in_the_order_of_their_time(core: Host) -> None:
    outcome = command("invoke", "logs", "--tail", "5")
    assert outcome.code == 0, outcome.err
    assert {line.split("|")[0].strip() for line in outcome.out.splitlines()} >= {"core/db", "core/backend"}
    data = command("fab", "-H", "ktrdr-core.internal", "logs", "--service", "db", "--tail", "3", "--json")
    lines = data.core["lines"]
    assert [line["text"] for line in lines] == core.sh(
        "docker logs --tail 3 ktrdr-core-db-1 2>&1"
    ).splitlines()
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)


@pytest.mark.usefixtures("stack")
def test_logs_mask_what_this_machine_knows(core: Host, lab: Lab) -> None:
    password = json.loads(lab.secrets.read_text())["db_password"]
    # As an application that says too much.
    core.sh(f"docker exec {BACKEND} sh -c 'echo word {password} end > /proc/1/fd/1'")
    await_seen(core.sh, f"docker logs --tail 20 {BACKEND} 2>&1 | grep -q '^word .* end'")
    outcome = command("invoke", "logs", "--node", "core", "--service", "backend", "--tail", "20")
    assert "word *** end" in outcome.out
    assert password not in outcome.out + outcome.err
    for found in (
        command("invoke", "logs", "--service", "nope"),
        command("invoke", "logs", "--follow", "--json"),
    ):
        assert found.code == 2


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_following_ends_on_the_host_too(core: Host, sign: signal.Signals) -> None:
    def running() -> str:
        return core.sh("pgrep -af '^docker logs|^head -c 1$'; true")

    assert running() == ""
    process = subprocess.Popen(
        ["invoke", "logs", "--follow", "--node", "core", "--tail", "1"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    deadline = time.monotonic() + 20
    while running().count("docker logs") < 6:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sign)
    _, said = process.communicate(timeout=10)
    assert process.returncode == (130 if sign is signal.SIGINT else -sign)
    assert "error" not in said
    while running():
        assert time.monotonic() < deadline, running()
        time.sleep(0.1)


@pytest.mark.usefixtures("stack")
def test_a_reader_that_has_seen_enough_ends_it_without_a_word() -> None:
    shell = "invoke logs --node core --tail 4000 2>&1 >&3 | cat >&2"
    done = subprocess.run(
        ["bash", "-c", f"({shell}) 3>&1 | head -n 1; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr


# --- the plan ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Changed:
    """A change, and what a dry run is to say of it: by service that does not stay, what happens and why."""

    plan: dict[str, tuple[str, str]]
    edits: dict[str, tuple[str, str]] = field(default_factory=dict)
    host: str = ""
    secret: str = ""
    arguments: tuple[str, ...] = ("--tag", FIRST)


CORE, RULES = "compose/docker-compose.core.yml", "monitoring/prometheus/rules/ktrdr.yml"
QUIETER = ("LOG_LEVEL=INFO", "LOG_LEVEL=WARNING")
RENAMED = ("TargetDown", "TargetAway")
SMALLER = ('cpus: "1", memory: 2g', 'cpus: "1", memory: 1900m')

CHANGES = {
    "nothing": Changed({}),
    "tag": Changed({"backend": ("recreate", "image")}, arguments=("--tag", SECOND)),
    "service": Changed(
        {"backend": ("recreate", "image")}, {RULES: RENAMED}, arguments=("--service", "backend", "--tag", SECOND)
    ),
    "variable": Changed({"backend": ("recreate", "environment")}, {"compose/.env.core": QUIETER}),
    "compose file": Changed({"prometheus": ("recreate", "configuration")}, {CORE: SMALLER}),
    "mounted file": Changed({}, {RULES: RENAMED}),
    "tag, limit and rules": Changed(
        {"backend": ("recreate", "image"), "prometheus": ("recreate", "configuration")},
        {CORE: SMALLER, RULES: RENAMED},
        arguments=("--tag", SECOND),
    ),
    "secret": Changed({"backend": ("recreate", "secret")}, secret="jwt_secret"),
    "stopped container": Changed({"jaeger": ("start", "it is exited")}, host="docker stop -t 1 ktrdr-core-jaeger-1"),
    "removed container": Changed({"jaeger": ("create", "it is not there")}, host="docker rm -f ktrdr-core-jaeger-1"),
    "edited file": Changed({}, host=f"echo '# by hand' >> {DIRECTORY}/{RULES}"),
    "missing file": Changed({}, host=f"rm {DIRECTORY}/monitoring/grafana/provisioning/dashboards/ktrdr.yml"),
}  # fmt: skip


def shas(core: Host) -> dict[str, str]:
    listed = core.sh(
        f"cd {DIRECTORY} && find . -name .deploy -prune -o -name deploy-metrics -prune -o -name targets -prune -o -type f -exec sha256sum {{}} +"
    )
    return {
        path.removeprefix("./"): sha for sha, path in (line.split(None, 1) for line in listed.splitlines())
    }


MIXED = ("nothing", "tag, limit and rules", "secret")
"""One change of each kind; the others take their time in a full run."""


@pytest.mark.usefixtures("back_to_first")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in MIXED else [pytest.mark.full]) for name in CHANGES]
)
def test_a_dry_run_changes_nothing_and_says_what_the_deployment_then_does(
    deploy: Run, core: Host, lab: Lab, checkout: Path, name: str
) -> None:
    what, kept = CHANGES[name], lab.secrets.read_text()
    assert deploy("--tag", FIRST).code == 0
    for file, (old, new) in what.edits.items():
        text = (checkout / file).read_text()
        assert old in text
        (checkout / file).write_text(text.replace(old, new, 1))
    core.sh(what.host or ":")
    before, ids, files = core.state(), core.containers(), shas(core)
    try:
        if what.secret:
            lab.secrets.write_text(json.dumps({**json.loads(kept), what.secret: "another-value-" * 4}))
        said = deploy(*what.arguments, "--dry-run", root=checkout)
        assert core.state() == before
        done = deploy(*what.arguments, root=checkout)
    finally:
        lab.secrets.write_text(kept)
    assert (said.code, done.code) == (0, 0), said.err + done.err
    plan = said.core["plan"]
    moving = {s: (c["action"], c["why"]) for s, c in plan["services"].items() if c["action"] != "keep"}
    assert moving == what.plan

    after = core.containers()
    assert {s for s in after if after[s] != ids.get(s)} == {
        s for s, (action, _) in what.plan.items() if action in ("create", "recreate")
    }
    now = shas(core)
    assert {path for path in {*files, *now} if files.get(path) != now.get(path)} == {
        *plan["files"],
        *plan["removed"],
    }
    assert done.core["outcome"] == ("unchanged" if plan["nothing"] else "deployed")
    assert set(plan["diffs"]) == {*plan["files"], *plan["removed"]}
    assert plan["nothing"] or plan["back"]
    assert ("another-value" in said.out + said.err, "another-value" in done.out + done.err) == (False, False)
    assert not plan["commands"] or " up -d " in " ".join(plan["commands"])
