"""Real commands in broken environments of the operator's: a fixed exit status and a clear line, and never a traceback."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import ROOT

PARTS = ("deploy.toml", "tasks.py", "fabfile", "fabric.yaml", "lab", "compose", "monitoring")

STATUS = ("invoke", "status")
HERE = ("fab", "-H", "ktrdr-core.internal", "status", "--json")
LOGS = ("fab", "-H", "ktrdr-core.internal", "logs")
HISTORY = ("invoke", "history", "--json")
LIST = ("invoke", "--list")
VALIDATE = ("invoke", "validate-env", "core")
PREFLIGHT = ("invoke", "preflight")
DEPLOY = ("invoke", "deploy-core", "--dry-run")
LAB = ("invoke", "lab.status")
UNREACHED = "does not resolve"


@dataclass(frozen=True)
class Broken:
    """An environment, and how commands end in it.

    Attributes:
        ends: by command, its exit status and what it says.
        env: variables that differ; None for one that is not set.
        spoil: what is done to the checkout before.
        first: what the shell does before.
        in_it: the commands are started in the checkout; otherwise they are told where it is.
    """

    ends: Mapping[tuple[str, ...], tuple[int, str]]
    env: Mapping[str, str | bytes | None] = field(default_factory=dict)
    spoil: Callable[[Path], object] = lambda root: None
    first: str = ""
    in_it: bool = True


def written(content: bytes, path: str = "deploy.toml") -> Callable[[Path], object]:
    return lambda root: (root / path).write_bytes(content)


def instead(make: Callable[[Path], object], path: str = "deploy.toml") -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        (root / path).unlink()
        make(root / path)

    return spoil


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda root: (root / "deploy.toml").write_bytes(change((root / "deploy.toml").read_bytes()))


def ssh_config(content: bytes) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        (root / "broken_ssh_config").write_bytes(content)
        named = b'[environments.homelab]\nssh_config = "broken_ssh_config"'
        changed(lambda text: text.replace(b"[environments.homelab]", named, 1))(root)

    return spoil


def dead_agent(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(root / "agent"))


def only(root: Path, *programs: str) -> None:
    (root / "bin").mkdir()
    for program in programs:
        (root / "bin" / program).symlink_to(str(shutil.which(program)))


COMPOSE = "compose/docker-compose.core.yml"

CASES = {
    "nothing is broken": Broken(
        {STATUS: (3, UNREACHED), HERE: (3, UNREACHED), HISTORY: (3, UNREACHED), LOGS: (3, UNREACHED)}
        | {PREFLIGHT: (3, UNREACHED), DEPLOY: (3, UNREACHED), LIST: (0, "deploy-core"), LAB: (2, "lab.up")}
    ),
    "no HOME": Broken({STATUS: (3, UNREACHED), LIST: (0, "deploy-core")}, {"HOME": None}),
    "a HOME that cannot be written": Broken({STATUS: (3, UNREACHED)}, {"HOME": "/proc"}),
    "no HOME, and none for the user": Broken({HERE: (3, UNREACHED)}, {"HOME": "/nonexistent/home"}),
    "an encoding without our characters": Broken(
        {VALIDATE: (1, "Missing required variables"), HERE: (3, UNREACHED), PREFLIGHT: (3, UNREACHED)},
        {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"},
    ),
    "no git": Broken(
        {STATUS: (3, UNREACHED), PREFLIGHT: (2, "git is not installed"), DEPLOY: (2, "git is not installed")},
        {"PATH": "bin"},
        lambda root: only(root, "ssh"),
    ),
    "no ssh": Broken(
        {STATUS: (2, "the ssh program is not installed"), HERE: (2, "the ssh program is not installed")},
        {"PATH": "bin"},
        lambda root: only(root, "git"),
    ),
    "no program at all": Broken(
        {STATUS: (2, "not installed"), DEPLOY: (2, "not installed")}, {"PATH": "/nowhere"}
    ),
    "no PATH": Broken({STATUS: (3, UNREACHED)}, {"PATH": None}),
    "the working directory is gone": Broken(
        {STATUS: (3, UNREACHED), DEPLOY: (3, UNREACHED)},
        first="mkdir gone; cd gone; rmdir ../gone; ",
        in_it=False,
    ),
    "no deploy.toml": Broken({STATUS: (2, "there is no deploy.toml")}, spoil=instead(lambda path: None)),
    "deploy.toml is a directory": Broken({STATUS: (2, "is not a file")}, spoil=instead(Path.mkdir)),
    "deploy.toml is a pipe": Broken(
        {STATUS: (2, "is not a file"), HERE: (2, "is not a file")}, spoil=instead(os.mkfifo)
    ),
    "deploy.toml leads to itself": Broken(
        {STATUS: (2, "cannot be read: Too many levels")},
        spoil=instead(lambda path: path.symlink_to("deploy.toml")),
    ),
    "deploy.toml is binary": Broken(
        {STATUS: (2, "is not text in UTF-8"), LIST: (0, "deploy-all")}, spoil=written(bytes(range(256)))
    ),
    "deploy.toml is huge": Broken(
        {STATUS: (2, "is not a file of less than")}, spoil=written(b"# \n" * 1_000_000)
    ),
    "deploy.toml is nested deeply": Broken(
        {STATUS: (2, "nested too deeply")}, spoil=written(b"a = " + b"[" * 9000)
    ),
    "deploy.toml is empty": Broken({STATUS: (2, "this key is missing")}, spoil=written(b"")),
    "deploy.toml begins with a mark": Broken(
        {STATUS: (3, UNREACHED)}, spoil=changed(lambda text: b"\xef\xbb\xbf" + text)
    ),
    "deploy.toml has other line ends": Broken(
        {STATUS: (3, UNREACHED)}, spoil=changed(lambda text: text.replace(b"\n", b"\r\n"))
    ),
    "no TMPDIR": Broken({STATUS: (3, UNREACHED), PREFLIGHT: (3, UNREACHED)}, {"TMPDIR": "/nonexistent"}),
    "no TERM": Broken({STATUS: (3, UNREACHED)}, {"TERM": None}),
    "a terminal that nobody knows": Broken(
        {STATUS: (3, UNREACHED)}, {"TERM": "?", "COLUMNS": "-3", "LINES": "x"}
    ),
    "no standard input": Broken({STATUS: (3, UNREACHED), DEPLOY: (3, UNREACHED)}, first="exec <&-; "),
    "no such environment": Broken(
        {STATUS: (2, "there is no environment"), HERE: (2, "there is no environment")},
        {"DEPLOY_ENV": "nönsense\n\x1b[31m"},
    ),
    "an environment that is no text": Broken(
        {STATUS: (2, "there is no environment")}, {"DEPLOY_ENV": b"\xff\xfe"}
    ),
    "a broken ssh_config": Broken(
        {STATUS: (2, "fix your ssh_config"), HERE: (2, "fix your ssh_config")},
        spoil=ssh_config(b"Host *\n  Nonsense yes\n"),
    ),
    "a binary ssh_config": Broken(
        {STATUS: (2, "fix your ssh_config")}, spoil=ssh_config(bytes(range(1, 256)))
    ),
    "an agent that is gone": Broken({STATUS: (3, UNREACHED)}, {"SSH_AUTH_SOCK": "agent"}, dead_agent),
    "a checkout of another owner": Broken(
        {STATUS: (3, UNREACHED), PREFLIGHT: (2, "dubious ownership"), DEPLOY: (2, "safe.directory")},
        {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
    ),
    "no checkout": Broken(
        {STATUS: (3, UNREACHED), PREFLIGHT: (2, "is not in a git checkout")},
        spoil=lambda root: shutil.rmtree(root / ".git"),
    ),
    "a checkout without its objects": Broken(
        {STATUS: (3, UNREACHED), PREFLIGHT: (2, "git")},
        spoil=lambda root: shutil.rmtree(root / ".git" / "objects"),
    ),
    "a git configuration that is none": Broken(
        {PREFLIGHT: (2, "git")}, spoil=written(b"\xff[", ".git/config")
    ),
    "no Compose file": Broken(
        {STATUS: (2, "cannot be read"), DEPLOY: (2, COMPOSE), VALIDATE: (1, "No such file")},
        spoil=lambda root: shutil.rmtree(root / "compose"),
    ),
    "a binary Compose file": Broken(
        {STATUS: (2, COMPOSE), DEPLOY: (2, COMPOSE), VALIDATE: (1, COMPOSE)},
        spoil=written(bytes(range(256)), COMPOSE),
    ),
    "an empty Compose file": Broken(
        {STATUS: (2, COMPOSE), DEPLOY: (2, COMPOSE)}, spoil=written(b"", COMPOSE)
    ),
    "a Compose file of lists": Broken(
        {STATUS: (2, COMPOSE), DEPLOY: (2, COMPOSE)}, spoil=written(b"services: [1, 2]\n", COMPOSE)
    ),
    "a Compose file that is nested deeply": Broken(
        {STATUS: (2, COMPOSE), DEPLOY: (2, COMPOSE), VALIDATE: (1, COMPOSE)},
        spoil=written(b"a: " + b"[" * 9000, COMPOSE),
    ),
    "no folder of files": Broken(
        {DEPLOY: (2, "monitoring")}, spoil=lambda root: shutil.rmtree(root / "monitoring")
    ),
}

RUNS = [(case, command) for case, broken in CASES.items() for command in broken.ends]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, root / part)
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "all"],
        ["update-ref", "refs/remotes/origin/main", "HEAD"],
    ):
        subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)
    return root


Done = subprocess.CompletedProcess[bytes]

GIVEN = dict(os.environ)
"""A copy: pytest changes its own while these run."""


@pytest.fixture(scope="module")
def ends(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, tuple[str, ...]], Future[Done]]:
    """All runs, started side by side."""
    pool = ThreadPoolExecutor(os.cpu_count())
    started = {}
    for case, broken in CASES.items():
        root = tmp_path_factory.mktemp("broken") / "checkout"
        shutil.copytree(checkout, root, symlinks=True)
        broken.spoil(root)
        for command in broken.ends:
            started[case, command] = pool.submit(run, broken, root, command)
    pool.shutdown(wait=False)
    return started


def run(broken: Broken, root: Path, command: tuple[str, ...]) -> Done:
    unwanted = ("DEPLOY_ENV", "INVOKE_DEBUG", "OP_SERVICE_ACCOUNT_TOKEN")
    env: dict[str, str | bytes] = {k: v for k, v in GIVEN.items() if k not in unwanted}
    for name, value in broken.env.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    program = str(Path(sys.executable).parent / command[0])
    where = [] if broken.in_it else ["-r", str(root)]
    return subprocess.run(
        ["/bin/sh", "-c", f'{broken.first}exec "$0" "$@"', program, *where, *command[1:]],
        cwd=root if broken.in_it else root.parent,
        env=env,
        capture_output=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("case", "command"), RUNS, ids=[f"{case}: {' '.join(command)}" for case, command in RUNS]
)
def test_it_ends_with_a_fixed_status_and_a_clear_line(
    ends: dict[tuple[str, tuple[str, ...]], Future[Done]], case: str, command: tuple[str, ...]
) -> None:
    status, says = CASES[case].ends[command]
    done = ends[case, command].result()
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert (done.returncode, says in said) == (status, True), said
    assert "Traceback" not in said
    assert "unforeseen error" not in said
    if "--json" in command and status == 3:
        assert json.loads(done.stdout)["exit"] == status


def test_windows_is_refused_in_one_line() -> None:
    script = "import sys; sys.platform = 'win32'; sys.modules['termios'] = sys.modules['pwd'] = None; import deploy_lib"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: this runs on Linux and macOS")
    assert "WSL" in done.stderr
    assert "Traceback" not in done.stderr
