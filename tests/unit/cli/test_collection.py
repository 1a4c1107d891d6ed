"""The tasks that a project gets for its deploy.toml, tried as it is used: by Invoke's and Fabric's own programs, in a folder of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import fabric.main
import invoke.main
import pytest

from tests import ROOT
from tests.unit import sample

THIRD = """
[stacks.mail_out]
compose = "shop.yml"
env_file = "shop.env"
needs = ["jobs"]
replicas = { relay = ["web"] }

[environments.house.nodes.post]
host = "c.example"
stack = "mail_out"
directory = "/srv/mail"
"""


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


class Run(Protocol):
    def __call__(self, folder: Path, name: str, *words: str, at: Path | None = None, **env: str) -> Done: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `invoke` or `fab` in a folder: their own programs in this process, which takes a tenth of the time."""

    def run(folder: Path, name: str, *words: str, at: Path | None = None, **env: str) -> Done:
        program = {"invoke": invoke.main.program, "fab": fabric.main.program}[name]
        with monkeypatch.context() as patch:
            patch.chdir(at or folder)
            patch.setattr(sys, "argv", [name, *words])
            patch.setattr(sys, "path", [*sys.path])
            patch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
            for module in ("tasks", "fabfile"):
                patch.delitem(sys.modules, module, raising=False)
            for variable in ("DEPLOY_ENV", "DB_PASSWORD", "MODE"):
                patch.delenv(variable, raising=False)
            for variable, value in {"COLUMNS": "200", **env}.items():
                patch.setenv(variable, value)
            try:
                program.run()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
            finally:
                for attribute in ("parse_tasks", "parse_cleanup"):
                    vars(program).pop(attribute, None)
                program.argv = []
                for module in ("tasks", "fabfile"):
                    sys.modules.pop(module, None)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


def listed(done: Done) -> set[str]:
    assert done.returncode == 0, done.stderr
    return {line.split()[0] for line in done.stdout.splitlines()[2:] if line[:3].strip()}


FIXED = {
    *("rollback", "rotate-secrets", "prune", "backup", "backups", "restore"),
    *("preflight", "status", "history", "logs"),
}
FLEET = FIXED | {"deploy-all", "validate-env"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sample.project(tmp_path)


def test_both_programs_have_a_task_for_each_stack(folder: Path, run: Run) -> None:
    assert listed(run(folder, "invoke", "--list")) == FLEET | {"deploy-shop", "deploy-jobs"}
    assert listed(run(folder, "fab", "--list")) == FIXED | {"deploy-shop", "deploy-jobs"}


def test_a_third_stack_needs_no_python(tmp_path: Path, run: Run) -> None:
    folder = sample.project(tmp_path, more=THIRD)
    assert "deploy-mail-out" in listed(run(folder, "invoke", "--list"))
    assert "deploy-mail-out" in listed(run(folder, "fab", "--list"))
    assert "--replicas-relay" in run(folder, "invoke", "--help", "deploy-mail-out").stdout
    assert "shop, jobs, mail_out" in run(folder, "invoke", "--help", "validate-env").stdout
    assert "post or all" in run(folder, "invoke", "--help", "deploy-mail-out").stdout
    # Its flags are read, and its files; then the first host is looked for.
    words = ("deploy-mail-out", "--dry-run", "--tag", "1.4.2", "--replicas-relay", "1", "--json")
    done = run(folder, "invoke", *words, DB_PASSWORD="x" * 12, REGISTRY_TOKEN="y" * 12)
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit"], list(document["nodes"])) == (3, 3, ["post"])
    assert "c.example" in document["error"]
    assert (
        json.loads(run(folder, "invoke", "deploy-mail-out", "--replicas-relay", "2", "--json").stdout)["exit"]
        == 2
    )


def test_it_is_found_from_a_folder_below_and_under_another_root(folder: Path, run: Run) -> None:
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    assert "no node 'X'" in run(folder, "invoke", "status", "--node", "X", at=below).stderr
    assert (
        "no node 'X'"
        in run(folder, "invoke", "-r", str(folder), "status", "--node", "X", at=Path("/")).stderr
    )
    assert "knows no host 'X'" in run(folder, "fab", "-H", "X", "status", at=below).stderr


@pytest.mark.parametrize(
    "damage", [{"more": "\n[["}, {"deploy": "stacks = 3\n"}], ids=["no TOML", "no stack"]
)
def test_a_broken_file_stops_what_needs_it_alone(tmp_path: Path, damage: dict[str, str], run: Run) -> None:
    folder = sample.project(tmp_path, **damage)
    with (folder / "tasks.py").open("a") as file:
        file.write(
            "from invoke.tasks import task\n@task\ndef lint(c):\n    print('clean')\nns.add_task(lint)\n"
        )
    done = run(folder, "invoke", "--list")
    assert listed(done) == FLEET | {"lint"}
    assert done.stderr.count("\n") == 1
    assert "deploy.toml" in done.stderr
    assert run(folder, "invoke", "lint").stdout == "clean\n"
    assert run(folder, "invoke", "lint").stderr == ""
    for words in (
        ["deploy-shop", "--tag", "v2"],
        ["deploy-all", "--replicas-mailer", "2"],
        ["deploy-jobs", "--replicas-mailer=2"],
        ["status"],
        ["validate-env", "shop"],
    ):
        done = run(folder, "invoke", *words)
        assert (done.returncode, done.stdout) == (2, ""), (words, done)
        assert done.stderr.startswith("error: deploy.toml"), done.stderr
        assert done.stderr.count("\n") == 1
    assert run(folder, "fab", "-H", "a.example", "deploy-shop").returncode == 2
    assert json.loads(run(folder, "invoke", "deploy-shop", "--json").stdout)["exit"] == 2


def test_a_key_that_is_wrong_is_named_by_the_task_and_the_list_stays(tmp_path: Path, run: Run) -> None:
    folder = sample.project(tmp_path, deploy=sample.DEPLOY.replace("min_length", "min_lenght"))
    assert "deploy-shop" in listed(run(folder, "invoke", "--list"))
    done = run(folder, "invoke", "deploy-shop")
    assert done.returncode == 2
    assert "secrets.DB_PASSWORD.min_lenght: unknown key" in done.stderr
    assert "did you mean min_length?" in done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "words", "key"),
    [
        ("relay = [", "Relay = [", ("deploy-mail-out", "--replicas-Relay", "1"), "stacks.mail_out.replicas.Relay"),
        ("relay = [", "'re_lay' = [", ("deploy-all", "--replicas-re_lay=1"), "stacks.mail_out.replicas.re_lay"),
        ("stacks.mail_out", "stacks.'mail.out'", ("deploy-mail.out",), "stacks.mail.out"),
    ],
)  # fmt: skip
def test_a_name_that_none_can_be_is_the_files_error(
    tmp_path: Path, run: Run, right: str, wrong: str, words: tuple[str, ...], key: str
) -> None:
    folder = sample.project(tmp_path, more=THIRD.replace(right, wrong))
    for name, more in (("invoke", ()), ("fab", ("-H", "c.example"))):
        if name == "fab" and words[0] == "deploy-all":
            continue
        done = run(folder, name, *more, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: deploy.toml: {key}")
        assert len(done.stderr.splitlines()) == 1
    # A name that is wrong, where the file is right, stays a usage error of Invoke's.
    assert run(sample.project(folder), "invoke", "deploy-shop", "--replicas-x", "1").returncode == 1


def test_in_a_namespace_too_a_broken_file_is_what_is_told(tmp_path: Path, run: Run) -> None:
    ops = "\nfrom invoke.collection import Collection\nns = Collection(ops=ns)\n"
    for damage in ({"more": "\n[["}, {"more": THIRD.replace("stacks.mail_out", "stacks.'mail.out'")}):
        folder = with_tasks(sample.project(tmp_path, **damage), "tasks.py", ops)
        done = run(folder, "invoke", "ops.deploy-mail.out", "--json")
        assert (done.returncode, done.stderr.startswith("error: deploy.toml")) == (2, True)
        document = json.loads(done.stdout)
        assert (document["command"], document["exit"]) == ("ops.deploy-mail.out", 2)
        assert document["error"].startswith("deploy.toml")


def test_no_file_at_all_is_one_line(folder: Path, run: Run) -> None:
    (folder / "deploy.toml").unlink()
    assert listed(run(folder, "invoke", "--list")) == FLEET
    done = run(folder, "invoke", "deploy-shop")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "there is no deploy.toml in" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["deploy-shpo"], 1, "Did you mean deploy-shop?"),
        (["--help", "deploy-shpo"], 1, "Did you mean deploy-shop?"),
        (["deploy-shop", "--dry-rnu"], 1, "Did you mean --dry-run?"),
        (["deploy-jobs", "--replicas-mailers", "1"], 1, "Did you mean --replicas-mailer?"),
        (["deploy-shop", "--node", "fornt"], 2, "did you mean front?"),
        (["status", "--node", "FRONT"], 2, "did you mean front?"),
        (["deploy-shop", "--service", "wbe"], 2, "did you mean web?"),
        (["logs", "--service", "mailer1"], 2, "did you mean mailer-1?"),
        (["validate-env", "shpo"], 1, "did you mean shop?"),
        (["deploy-shop", "--node", "east"], 2, "runs the stack jobs, not shop"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_a_question(
    folder: Path, words: list[str], status: int, said: str, run: Run
) -> None:
    done = run(folder, "invoke", *words)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_like_no_name_gets_no_question(folder: Path, run: Run) -> None:
    assert run(folder, "invoke", "xyzzy").stderr == "No idea what 'xyzzy' is!\n"
    assert "did you mean" not in run(folder, "invoke", "status", "--node", "xyzzy").stderr


def test_an_environment_or_a_host_that_is_nearly_right_is_too(folder: Path, run: Run) -> None:
    assert "did you mean house?" in run(folder, "invoke", "status", DEPLOY_ENV="huose").stderr
    done = run(folder, "fab", "-H", "a.exampel", "status")
    assert (done.returncode, "did you mean a.example?" in done.stderr) == (2, True)


def test_a_stack_without_a_node_is_one_line(tmp_path: Path, run: Run) -> None:
    text = sample.DEPLOY[: sample.DEPLOY.index("[environments.house.nodes.night]")]
    done = run(sample.project(tmp_path, deploy=text), "invoke", "deploy-jobs")
    assert done.returncode == 2
    assert done.stderr == "error: no node of environment house runs the stack jobs; its nodes run shop\n"


def test_fab_goes_on_to_the_next_host_and_shows_every_stack_of_each(folder: Path, run: Run) -> None:
    for words in (["-H", "a.example", "-H", "b.example"], ["-H", "a.example,b.example"]):
        done = run(folder, "fab", *words, "status", "--json")
        first, second = (json.loads(line) for line in done.stdout.splitlines())
        assert (list(first["nodes"]), list(second["nodes"])) == (["front", "night"], ["east"])
        assert done.returncode == 3


def test_fab_takes_the_stack_that_is_meant_of_a_host_with_two(folder: Path, run: Run) -> None:
    secrets = {"DB_PASSWORD": "x" * 12, "REGISTRY_TOKEN": "y" * 12}
    done = run(folder, "fab", "-H", "a.example", "deploy-jobs", "--json", "--tag", "v2", **secrets)
    assert list(json.loads(done.stdout)["nodes"]) == ["night"]
    done = run(folder, "fab", "-H", "b.example", "deploy-shop", "--json")
    assert (done.returncode, "node east runs the stack jobs, not shop" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["deploy-shop", *sorted(FIXED)])
def test_a_host_that_cannot_be_reached_is_exit_3_and_named_whatever_was_asked(
    folder: Path, run: Run, command: str
) -> None:
    (folder / "deploy.toml").write_text((folder / "deploy.toml").read_text() + sample.BACKUPS)
    more = {
        "deploy-shop": ["--tag", "1.4.2"],
        "preflight": ["--tag", "1.4.2"],
        "restore": ["--backup", "one"],
    }
    words = ["--json", *more.get(command, [])]
    done = run(
        folder, "invoke", command, *words, "--node", "front", DB_PASSWORD="x" * 12, REGISTRY_TOKEN="y" * 12
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit"], document["command"]) == (3, 3, command)
    assert "a.example" in json.dumps(document)
    assert "a.example" in done.stderr


def test_fab_begins_no_other_task_after_one_that_failed_on_a_host(folder: Path, run: Run) -> None:
    done = run(folder, "fab", "-H", "a.example,b.example", "status", "--json", "history", "--json")
    commands = [json.loads(line)["command"] for line in done.stdout.splitlines()]
    assert (commands, done.returncode) == (["status", "status"], 3)


def test_fab_without_this_projects_executor_runs_nothing(folder: Path, run: Run) -> None:
    (folder / "fabric.yaml").unlink()
    for words in (["status"], ["-H", "a.example", "status"]):
        done = run(folder, "fab", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "fabric.yaml" in done.stderr


@pytest.mark.parametrize("own", [True, False], ids=["of this repository", "of the sample"])
def test_a_listing_needs_neither_the_models_nor_ssh(folder: Path, own: bool) -> None:
    script = (
        "import sys; from invoke.main import program; program.run(['invoke', '--list'], exit=False); "
        "print([n for n in ('pydantic', 'paramiko', 'fabric', 'git') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT if own else folder, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done


def test_a_record_that_cannot_be_read_is_not_a_missing_one(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy_lib.cli import status
    from deploy_lib.host.look.facts import Facts
    from deploy_lib.host.look.gather import TOOLS
    from tests.unit import build

    why = {"history": "/srv/shop/.deploy/history.jsonl: Permission denied"}
    found = Facts(engine="26.1.5", tools=frozenset(TOOLS), containers=(build.container(),), problems=why)
    monkeypatch.setattr(status, "gather", lambda *_: found)
    done = run(folder, "invoke", "status")
    assert done.returncode == 3
    assert "Permission denied" in done.stderr
    assert "without a record" not in done.stdout + done.stderr


OWN = """
from invoke.tasks import call, task

@task(pre=[ns["status"]])
def after(c):
    print("own")

@task(post=[call(ns["status"], node="east", json=True)])
def before(c):
    print("own")

@task(iterable=["words"])
def valid(c, words):
    ns["validate-env"](c, **dict(word.split("=") for word in words))

for own in (after, before, valid):
    ns.add_task(own)
"""
"""Tasks of somebody's own that run the project's."""


def with_tasks(folder: Path, file: str, text: str) -> Path:
    with (folder / file).open("a") as tasks:
        tasks.write(text)
    return folder


def test_a_task_of_ones_own_runs_one_of_these_with_the_flags_that_it_gives(folder: Path, run: Run) -> None:
    with_tasks(folder, "tasks.py", OWN)
    done = run(folder, "invoke", "after")
    assert (done.returncode, "front  shop   unreachable" in done.stdout, "own" in done.stdout) == (
        3,
        True,
        False,
    )
    done = run(folder, "invoke", "before")
    own, document = done.stdout.splitlines()
    assert (done.returncode, own, list(json.loads(document)["nodes"])) == (3, "own", ["east"])
    assert run(folder, "invoke", "valid", "--words", "stack=jobs").returncode == 0
    done = run(folder, "invoke", "valid")
    assert (done.returncode, "missing a required argument: 'stack'" in done.stderr) == (2, True)
    done = run(folder, "invoke", "valid", "--words", "stack=jobs", "--words", "x=1")
    assert (done.returncode, "unexpected keyword argument 'x'" in done.stderr) == (2, True)


def test_what_stands_before_a_task_of_ones_own_runs_on_the_same_hosts(folder: Path, run: Run) -> None:
    with_tasks(folder, "fabfile.py", OWN[: OWN.index("@task(post")] + "ns.add_task(after)\n")
    done = run(folder, "fab", "-H", "a.example,b.example", "after")
    unreachable = [line.split()[0] for line in done.stdout.splitlines() if "unreachable" in line]
    assert (done.returncode, unreachable, "own" in done.stdout) == (3, ["front", "night", "east"], False)


@pytest.mark.parametrize(
    ("name", "words", "env"),
    [
        ("invoke", ["-R", "deploy-shop"], {}),
        ("invoke", ["--dry", "status"], {}),
        ("invoke", ["rollback"], {"INVOKE_RUN_DRY": "1"}),
        ("fab", ["-R", "-H", "a.example", "deploy-shop"], {}),
        ("fab", ["-H", "a.example", "status"], {"FABRIC_RUN_DRY": "1"}),
    ],
)
def test_invokes_own_dry_run_is_refused(
    folder: Path, run: Run, name: str, words: list[str], env: dict[str, str]
) -> None:
    done = run(folder, name, *words, **env)
    assert (done.returncode, done.stdout, "(-R, --dry, run.dry)" in done.stderr) == (2, "", True)
    assert ("--dry-run" in done.stderr) == ("status" not in words)


@pytest.mark.parametrize(
    "words", [["-H", "nope", "history"], ["history"], ["-S", "nope", "-H", "a.example", "history"]]
)
def test_what_ends_before_it_begins_has_its_document(folder: Path, run: Run, words: list[str]) -> None:
    done = run(folder, "fab", *words, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["command"], document["exit"], document["nodes"]) == (
        2,
        "history",
        2,
        {},
    )
    assert document["error"] in done.stderr
    assert run(folder, "fab", *words).stdout == ""


def test_ctrl_c_while_a_host_has_not_answered_yet_says_nothing_of_its_services(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy_lib.host.look import logs

    def stream(*_: object, follow: bool) -> Iterator[tuple[str, logs.Known]]:
        yield "front", logs.Known("web")
        raise KeyboardInterrupt

    monkeypatch.setattr(logs, "stream", stream)
    done = run(folder, "invoke", "logs", "--service", "mailer-1")
    assert (done.returncode, "no service" in done.stderr) == (130, False)
