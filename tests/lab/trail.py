"""A trail: everything that an operator does with secrets, and much of what can go wrong, with marked values and watched."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import credentials, hosts
from lab.layout import Lab

from .conftest import BACKEND, FIRST, SECOND, copy_checkout, environment
from .sweep import Finding, Marks, Watch

FAB = ("fab", "-d", "-e", "-H", "ktrdr-core.internal")
INVOKE = ("invoke", "-d", "-e")

EXPOSED = "sweep_key"
"""The field of a secret that one service gets in its environment, where its stack accepts that."""

SECRET = """
[secrets.SWEEP_KEY]
field = "sweep_key"
"""
"""For deploy.toml."""

SHOWN = """\
      SWEEP_KEY: "key=${SWEEP_KEY:?}"
"""
"""For the backend's environment."""

CRASHES = """\
    command: ["sh", "-c", "exit 7"]
"""
"""For the backend, in the Compose file."""

FAILS = """
from deploy_lib.host.change import watch


def fail(*arguments, **more):
    raise RuntimeError(f"unforeseen {arguments!r}")


watch.start = fail
"""
"""For tasks.py: fails where the secret values are on their way to a host, and says all that it was given."""


def marked() -> dict[str, str]:
    """New values for all secrets that can change; each has two marks, and what lies between them has to be quoted everywhere."""

    def value(between: str) -> str:
        return f"{secrets.token_hex(10)}{between}{secrets.token_hex(10)}"

    return {
        "db_password": value(""" 'it"s' $HOME `id` \\ & %41 """),
        "grafana_password": value(""" "$(id)" 'x' ${X} #; """),
        "jwt_secret": value("\n\"two\" 'lines'\r\n$$ "),
        EXPOSED: value("\n\"two\" 'lines' $$ ${X} "),
    }


@dataclass
class Trail:
    """What was done, and what was seen of it.

    Attributes:
        since: when it began, in seconds.
        said: what each command printed.
        sets: the secret values that were used, by the name of the set.
    """

    lab: Lab
    root: Path
    delivery: str
    original: Mapping[str, str] = field(repr=False)
    sets: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    since: float = field(default_factory=time.time)
    said: list[tuple[str, str]] = field(default_factory=list, repr=False)
    seen: list[Finding] = field(default_factory=list)

    @property
    def marks(self) -> Marks:
        """Of all values but the user's name."""
        named = {f"{s}.{n}": v for s, values in self.sets.items() for n, v in values.items()}
        return Marks({name: value for name, value in named.items() if not name.endswith("username")})

    def use(self, name: str) -> None:
        """From now on the source of secrets has these values."""
        put(self.lab, {**self.original, **self.sets[name]})

    def run(self, *command: str, code: int, root: Path | None = None, kill_at: str | None = None) -> str:
        """Runs a command, keeps what it prints, and gives that.

        Args:
            code: the exit status that it must have.
            kill_at: the command is killed when a line of its standard error has this.
        """
        process = subprocess.Popen(
            command,
            cwd=root or self.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if kill_at else subprocess.STDOUT,
            text=True,
        )
        said = ""
        if kill_at:
            for line in process.stderr or ():
                said += line
                if kill_at in line:
                    process.kill()
                    break
        out, rest = process.communicate(timeout=300)
        said += out + (rest or "")
        self.said.append((" ".join(command), said))
        assert process.returncode == code, said
        return said


def put(lab: Lab, values: Mapping[str, str]) -> None:
    """Writes the lab's secret file."""
    new = lab.secrets.with_suffix(".new")
    credentials.write(new, json.dumps(values, indent=1) + "\n")
    os.replace(new, lab.secrets)  # noqa: PTH105


@contextmanager
def own_secrets(lab: Lab) -> Iterator[dict[str, str]]:
    """The lab's secret values, which its secret file has again afterwards."""
    original = lab.secrets.read_text()
    try:
        yield json.loads(original)
    finally:
        credentials.write(lab.secrets, original)


def walk(lab: Lab, directory: Path, delivery: str) -> Iterator[Trail]:
    """Goes the whole way, yields, and goes back to the lab's own values and the first tag."""
    root = prepared(lab, directory / "checkout", delivery)
    with own_secrets(lab) as original:
        known = {**original, EXPOSED: marked()[EXPOSED]}
        put(lab, known)
        trail = Trail(lab, root, delivery, known, {"own": known})
        for name in ("A", "B"):
            trail.sets[name] = marked()
        trail.sets["killed"] = {**trail.sets["A"], "jwt_secret": marked()["jwt_secret"]}
        trail.sets["wrong"] = {**trail.sets["A"], "ghcr_token": f"wrong {secrets.token_hex(10)}"}
        try:
            with Watch(lab, trail.marks) as watch:
                _walk(trail, directory)
            trail.seen = watch.findings
            yield trail
        finally:
            put(lab, known)
            trail.run("invoke", "rotate-secrets", code=0)
            trail.run("invoke", "deploy-core", "--tag", FIRST, code=0, root=lab.directory.parent)


def prepared(lab: Lab, directory: Path, delivery: str = "compose") -> Path:
    """A checkout that delivers secrets in this way, and gives the backend one more in its environment."""
    directory.mkdir()
    root = copy_checkout(lab, directory)
    settings = f'delivery = "{delivery}"\nexposed = ["SWEEP_KEY"]\n'
    _insert(root / "deploy.toml", "[stacks.core]\n", settings)
    _insert(root / "deploy.toml", 'field = "db_username"\nmin_length = 1\nredact = false\n', SECRET)
    _insert(root / "compose/docker-compose.core.yml", "      ENVIRONMENT: ${ENVIRONMENT}\n", SHOWN)
    return directory


def _walk(trail: Trail, directory: Path) -> None:
    trail.run(*INVOKE, "deploy-core", "--tag", FIRST, "--debug", code=0)
    trail.use("A")
    trail.run(*FAB, "deploy-core", "--tag", FIRST, code=3)  # some of them are changed by rotating only
    trail.run(*INVOKE, "rotate-secrets", "--debug", code=0)

    log_in = (
        f"docker rm -f {BACKEND}; docker images -q '*/ktrdr/ktrdr-backend' | sort -u | xargs docker rmi -f"
    )
    hosts.execute(trail.lab, "core", "sh", "-c", log_in)
    trail.run(*INVOKE, "deploy-core", "--tag", SECOND, "--debug", "--json", code=0)
    trail.run(*FAB, "deploy-core", "--tag", SECOND, "--debug", code=0)
    trail.run(*INVOKE, "deploy-core", "--tag", FIRST, "--dry-run", "--debug", code=0)

    trail.run(*FAB, "deploy-core", "--tag", "sha-fffffff", "--json", "--debug", code=3)
    trail.use("wrong")
    trail.run(*INVOKE, "deploy-core", "--tag", FIRST, "--debug", code=3)
    trail.use("A")
    root = prepared(trail.lab, directory / "crashes", trail.delivery)
    _insert(root / "compose/docker-compose.core.yml", "  backend:\n", CRASHES)
    trail.run(*INVOKE, "deploy-core", "--tag", SECOND, "--debug", code=10, root=root)
    trail.use("killed")
    root = prepared(trail.lab, directory / "fails", trail.delivery)
    _insert(root / "tasks.py", "ROOT = Path(__file__).resolve().parent\n", FAILS)
    said = trail.run(*INVOKE, "deploy-core", "--tag", SECOND, "--debug", code=10, root=root)
    assert "RuntimeError: unforeseen" in said
    assert "'JWT_SECRET': '***" in said
    trail.run(*INVOKE, "deploy-core", "--tag", SECOND, "--debug", code=-9, kill_at="  Creating")

    # The next command waits until the host has gone back by itself.
    trail.use("B")
    trail.run(*INVOKE, "rotate-secrets", "--json", "--debug", code=0)
    trail.run(*FAB, "rollback", "--debug", code=0)
    trail.run(*INVOKE, "preflight", "--tag", FIRST, "--node", "core", "--debug", code=0)
    for command in ("status", "history", "logs"):
        trail.run(*FAB, command, "--debug", code=0)


def _insert(path: Path, after: str, text: str) -> None:
    assert after in path.read_text()
    path.write_text(path.read_text().replace(after, after + text, 1))
