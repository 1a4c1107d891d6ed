"""A made-up project that refers to files in every way there is: deployed, changed, broken and taken back."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.layout import KEEP

from .conftest import FIRST, SECOND, Host, Outcome, command

HOME = "/opt/files"

COMPOSE = """\
name: ktrdr-files
include: [parts/extra.yml]
services:
  web:
    extends: {file: common/base.yml, service: base}
    env_file: [app.env, {path: none.env, required: false}]
    configs: [{source: c, target: /c.conf}]
    volumes:
      - ./conf:/conf:ro
      - ./single.conf:/single.conf:ro
      - ${WHERE}:/where:ro
      - ./run.sh:/run.sh:ro
      - ./data:/data
      - ./cache:/cache
      - ./elsewhere.conf:/elsewhere.conf:ro
      - {type: bind, source: ./made, target: /made, bind: {create_host_path: true}}
    ports: ["18080:80"]
configs: {c: {file: ./c.conf}}
"""

BASE = """\
services:
  base:
    image: ${IMAGE_REGISTRY}/ktrdr-backend:${IMAGE_TAG}
    user: "0:0"
    entrypoint: [sh]
    command: [-c, "sleep 1000"]
    init: true
    volumes: ["./base.conf:/base.conf:ro"]
    healthcheck: {test: [CMD, "true"], interval: 1s}
"""

EXTRA = """\
services:
  side:
    extends: {file: ../common/base.yml, service: base}
    env_file: side.env
    volumes: ["./side.conf:/side.conf:ro"]
"""

LAB = """\
services:
  web: {ports: !reset [], command: [-c, "sleep 2000"]}
"""

TOML = """
[stacks.files]
compose = "site/compose.yml"
env_file = []
files = { "elsewhere.conf" = "lab/files.conf" }
before_switch = [{ service = "web", command = ["1"] }]

[environments.lab.stacks.files]
compose = ["site/compose.yml", "site/lab.yml"]

[environments.lab.nodes.F]
host = "ktrdr-core.internal"
stack = "files"
directory = "/opt/files"
env_file = "site/node-f.env"
"""

DATA = (
    'before_switch = [{ service = "web", command = ["-c", "cp /conf/a.conf /data/seen"] }]\ndata = ["data"]'
)

FILES = {
    **{"compose.yml": COMPOSE, "common/base.yml": BASE, "parts/extra.yml": EXTRA, "lab.yml": LAB},
    **{"node-f.env": "WHERE=./where.conf\n", "where.conf": "where", "app.env": "APP=app\n", "c.conf": "c"},
    **{"conf/a.conf": "one", "conf/thing": "thing", "conf/.env": "SECRET=never", "conf/key": "key"},
    **{"single.conf": "single", "run.sh": "#!/bin/sh\necho ran\n", "common/base.conf": "base"},
    **{
        "parts/side.conf": "side",
        "parts/side.env": "SIDE=side\n",
        "parts/.env": "",
        "../lab/files.conf": "else",
    },
}


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example")
    subprocess.run(["git", "-C", root, *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def site(checkout: Path, core: Host, backend_image: str) -> Iterator[Path]:
    """A checkout with that project beside what else is deployed, on a node of its own."""
    site = checkout / "site"
    for name, content in FILES.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content)
    (site / "run.sh").chmod(0o755)
    (site / "conf/key").chmod(0o600)
    (site / "conf/latest").symlink_to("a.conf")
    (site / "cache").mkdir()
    (checkout / ".gitignore").write_text(".lab\n/site/conf/.env\n")
    path = checkout / "deploy.toml"
    path.write_text(path.read_text() + TOML)
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "x")
    try:
        yield site
    finally:
        core.sh(f"docker compose -p ktrdr-files down -t 0; rm -rf {HOME}")
        listed = f"docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {KEEP}"
        core.sh(f"{listed} | grep -- '-ktrdr-files[.]$' | xargs -r docker rmi")


def deploy(site: Path, tag: str = FIRST, *more: str) -> Outcome:
    return command("invoke", "deploy-files", "--tag", tag, "--json", *more, root=site.parent)


def outcome(done: Outcome) -> tuple[int, str]:
    return done.code, done.document["nodes"]["F"]["outcome"]


def lies(core: Host) -> str:
    """What lies on the host, with modes and links, but for what is generated, the program's own and the stack's data."""
    return core.sh(
        f"cd {HOME} && find . '(' -name .deploy -o -name deploy-metrics -o -name data -o -name made ')' -prune -o ! -name 'release.*' "
        "-printf '%p %y %m %l\\n' | sort; find . -name .deploy -prune -o -name deploy-metrics -prune -o -name data -prune -o -type f ! -name 'release.*' "
        "-exec sha256sum {} + | sort"
    )


def inside(core: Host, script: str, service: str = "web") -> str:
    return core.sh(f"docker exec ktrdr-files-{service}-1 sh -c '{script}'").strip()


def test_all_that_compose_files_refer_to_is_shipped_changed_and_taken_back(site: Path, core: Host) -> None:
    toml = site.parent / "deploy.toml"
    # A mount that nothing ships is not left to Docker, which would make a directory.
    lacking = deploy(site)
    assert lacking.code == 3, lacking.err
    assert "site/compose.yml line 13: data, which web mounts, is not on the host" in lacking.err
    assert 'data = ["data"]' in lacking.err
    assert core.sh(f"ls {HOME} 2>/dev/null; true") == ""
    toml.write_text(toml.read_text().replace('before_switch = [{ service = "web", command = ["1"] }]', DATA))

    first = deploy(site)
    assert outcome(first) == (0, "deployed"), first.err
    assert (
        inside(core, "cat /conf/a.conf /single.conf /where /base.conf /c.conf /elsewhere.conf")
        == "onesinglewherebasecelse"
    )
    assert (
        inside(core, "/run.sh; echo $APP; stat -c %a /conf/key; readlink /conf/latest")
        == "ran\napp\n600\na.conf"
    )
    assert inside(core, "cat /side.conf /base.conf; echo $SIDE", "side") == "sidebaseside"
    assert core.sh("docker port ktrdr-files-web-1") == ""
    # What git ignores is nowhere on the host.
    assert core.sh(f"grep -rl never {HOME} || true") == ""
    assert outcome(deploy(site)) == (0, "unchanged")

    # What others put beside these files is theirs; an edited file, or another mode, is not.
    core.sh(
        f"echo row >{HOME}/data/row; install -o 999 -m 600 /dev/null {HOME}/conf/theirs; touch {HOME}/cache/x"
    )
    status = ("invoke", "status", "--json", "--node", "F")
    assert command(*status, root=site.parent).code == 0
    core.sh(f"rm {HOME}/conf/theirs; chmod 644 {HOME}/run.sh")
    drift = command(*status, root=site.parent)
    assert (drift.code, drift.document["nodes"]["F"]["drift"]) == (
        12,
        ["the file run.sh was edited on the host"],
    )
    core.sh(f"chmod 755 {HOME}/run.sh")
    before = lies(core)

    # A release that changes all of it, and fails.
    (site / "conf/a.conf").write_text("two")
    (site / "conf/thing").unlink()
    (site / "conf/thing").mkdir()
    (site / "conf/thing/inner").write_text("inner")
    (site / "conf/latest").unlink()
    (site / "conf/latest").write_text("a file")
    (site / "run.sh").chmod(0o644)
    (site / "parts/side.conf").unlink()
    (site / "parts/extra.yml").write_text(EXTRA.replace("./side.conf:/side", "./new.conf:/side"))
    (site / "parts/new.conf").write_text("new")
    (site / "lab.yml").write_text(LAB.replace("sleep 2000", "false"))
    failed = deploy(site, SECOND)
    assert failed.code == 10, failed.err
    assert lies(core) == before
    assert core.sh(f"cat {HOME}/data/seen {HOME}/data/row") == "tworow\n"

    # Docker has made a directory where a file is to lie; and somebody else one with something in it.
    (site / "lab.yml").write_text(LAB)
    core.sh(f"mkdir -p {HOME}/parts/new.conf/theirs")
    taken = deploy(site, SECOND)
    assert taken.code == 3, taken.err
    assert f"mv {HOME}/parts/new.conf {HOME}/parts/new.conf.old" in taken.err
    core.sh(f"rmdir {HOME}/parts/new.conf/theirs")
    rehearsed = deploy(site, SECOND, "--dry-run")
    assert rehearsed.code == 0, rehearsed.err
    second = deploy(site, SECOND)
    assert outcome(second) == (0, "deployed"), second.err
    assert core.sh(f"cat {HOME}/parts/new.conf {HOME}/conf/thing/inner") == "newinner"
    assert core.sh(f"ls {HOME}/parts/side.conf 2>/dev/null || true") == ""
    assert inside(core, "cat /side.conf", "side") == "new"

    # One Compose file less; and back to the release that had it.
    toml.write_text(toml.read_text().replace('compose = ["site/compose.yml", "site/lab.yml"]', ""))
    (site / "compose.yml").write_text(COMPOSE.replace('    ports: ["18080:80"]\n', ""))
    third = deploy(site, SECOND)
    assert outcome(third) == (0, "deployed"), third.err
    for expected in (SECOND, FIRST):
        back = command("invoke", "rollback", "--json", "--node", "F", root=site.parent)
        assert (back.code, back.document["nodes"]["F"]["to"]) == (0, expected), back.err
    assert lies(core) == before
    assert inside(core, "cat /conf/a.conf; /run.sh") == "oneran"
    assert core.sh(f"cat {HOME}/data/row") == "row\n"
