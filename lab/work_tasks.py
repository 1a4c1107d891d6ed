"""`invoke lint`, `test` and `bench`: for who works on this repository."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from deploy_lib.fleet.interruption import catch_interrupts

if TYPE_CHECKING:
    from deploy_lib.output.console import Console


def work_tasks(root: Path) -> tuple[Task[Any], ...]:
    """All three, for this checkout."""

    @task(
        auto_shortflags=False,
        iterable=["case", "who", "latency"],
        help={
            "case": "what to measure, repeatable; otherwise everything. A wrong name is answered with all of them",
            "who": "who takes part, repeatable; otherwise everybody",
            "latency": "milliseconds that are added to each round trip, repeatable; otherwise none",
            "runs": "of each contender in each case",
            "limit": "minutes after which no further run is begun",
            "out": "a JSON document of all runs is written there, and not to .lab/bench.json",
            "publish": "measures nothing: makes the tables of docs/performance.md and its chart from that document",
        },
    )
    def bench(
        c: Context,
        case: list[str],
        who: list[str],
        latency: list[str],
        runs: str = "5",
        limit: str = "60",
        out: str = "",
        publish: bool = False,
    ) -> None:
        """Measure this project beside the bare commands and other tools, on the lab, which has to be up."""
        from bench.run import run

        run(root, case=case, who=who, latency=latency, runs=runs, limit=limit, out=out, publish=publish)

    @task(auto_shortflags=False)
    def lint(c: Context) -> None:
        """Check style and types, and the workflows of .github."""
        catch_interrupts()
        c.run("ruff check . && ruff format --check . && mypy")
        # None of them asks the network for anything.
        c.run("zizmor --offline --no-progress --quiet --persona pedantic .github && actionlint")
        scripts = ".ci/run scripts/deploy-job scripts/run scripts/validate-env.sh"
        c.run(f"shellcheck {scripts} bench/stub_docker.sh bench/peers/*.sh")
        for schema, files in (
            ("github-workflows", ".github/workflows/*.yml"),
            ("dependabot", ".github/dependabot.yml"),
        ):
            c.run(f"check-jsonschema --quiet --builtin-schema vendor.{schema} {files}")

    @task(
        auto_shortflags=False,
        help={
            "full": "the long tail of the fault matrix, too, which takes much longer",
            "labs": "so many processes share the tests, each with a lab of its own",
        },
    )
    def test(c: Context, full: bool = False, labs: int = 3) -> None:
        """Run the checks: style, types, the unit, ssh and lab tests, and how much of the library they run."""
        from tests import measured

        from .tasks import speaking

        began = float(os.environ.get("RUN_BEGAN", time.time()))
        ended = "FAILED"
        with speaking() as console, tempfile.TemporaryDirectory() as folder:
            try:
                lint(c)
                _test(console, Path(folder), full=full, labs=labs)
                ended = "passed"
            except measured.NotEnoughError as error:
                raise Exit(f"error: {error}", code=1) from None
            finally:
                minutes, seconds = divmod(int(time.time() - began), 60)
                console.say(f"the whole run {ended} after {minutes} min {seconds} s")

    return bench, lint, test


def _test(console: Console, folder: Path, *, full: bool, labs: int) -> None:
    from tests import measured

    from .engine import programs

    # The ssh tests run a server of their own.
    programs({"sshd": "openssh-server", "ssh": "openssh-client"}, console.say)
    chosen = [] if full else ["-m", "not full"]
    # Who does what: tests/sharing.py.
    shared = ["-n", str(labs), "--max-worker-restart", str(labs), "--durations", "20"]
    measuring = measured.environment(folder, sample=not full)
    # Not by Invoke: it looks a hundred times a second whether something is to be done, which takes a part of the cores.
    tests = subprocess.Popen(["pytest", *chosen, *shared], env={**os.environ, **measuring})
    try:
        failed = tests.wait()
    except KeyboardInterrupt:
        # It has got the signal, too, and takes down what it has made.
        failed = tests.wait()
    shares = measured.combine(folder)
    for line in measured.told(shares):
        console.say(line)
    if failed:
        raise Exit(code=failed)
    measured.demand(shares)
