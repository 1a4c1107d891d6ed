"""What is measured: each case says what comes before a run, and what the run is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import contenders, many, outage, process
from .figures import Run
from .place import BIN, CHANGED, SLIGHT, Place, commit, forget_image

ALL = ("floor", "ours", "ssh-cm", "ssh", "dockerhost", "fabric", "pyinfra", "ansible")
ONE, THREE = ("core",), ("core", "B", "C")


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes:
        title: for people.
        run: does it once for a contender, with all that has to come before it.
        who: the contenders, in their order.
        base: the one that the others are compared to.
        far: who takes part when latency is added; nobody: it is not measured with latency.
        nodes: that it needs.
        warm: runs that do not count come first.
        counts: "wall", "cpu" or "outage".
        rolls: this project rolls core's API; otherwise it replaces it at once, as everybody else does.
    """

    title: str
    run: Callable[[Place, str], process.Took | tuple[process.Took, float]]
    who: Sequence[str] = ALL
    base: str = "floor"
    far: Sequence[str] = ()
    nodes: Sequence[str] = ONE
    warm: int = 0
    counts: str = "wall"
    rolls: bool = False


def measure(place: Place, name: str, case: Case, who: str) -> Run:
    """One run.

    Raises:
        DeployError: what has to come before it failed.
    """
    place.roll(case.rolls)
    found = case.run(place, who)
    took, seconds = found if isinstance(found, tuple) else (found, found.wall)
    if case.counts == "cpu":
        seconds = took.cpu
    measured = who != "floor"
    return Run(
        name,
        who,
        seconds,
        took.wall,
        took.cpu if measured else None,
        took.peak if measured else None,
        took.status,
    )


def _nothing(nodes: Sequence[str]) -> Callable[[Place, str], process.Took]:
    def run(place: Place, who: str) -> process.Took:
        place.settle(place.tags[0])
        return contenders.deploy(place, who, nodes, place.tags[0])

    return run


def _switch(place: Place, who: str) -> process.Took:
    first, second = place.tags
    place.settle(first)
    took = contenders.deploy(place, who, ONE, second)
    place.at = second if who == "ours" and not took.status else ""
    return took


def _switch_and_pull(place: Place, who: str) -> process.Took:
    place.settle(place.tags[0])
    forget_image(place, "core", place.tags[1])
    return _switch(place, who)


def _outage(place: Place, who: str) -> tuple[process.Took, float]:
    place.settle(place.tags[0])
    url = f"{place.lab.url('core', 8000)}/api/v1/health"
    return outage.while_asked(url, lambda: _switch(place, who))


def _rollback(place: Place, who: str) -> process.Took:
    """From the second release, which was deployed after the first, back to the first."""
    first, second = place.tags
    place.settle(first)
    place.settle(second)
    place.at = ""
    if who != "ours":
        return contenders.deploy(place, who, ONE, first)
    took = process.run(place.ours("rollback", "--node", "core"), place.checkout, place.env, place.log)
    place.at = "" if took.status else first
    return took


def _file(place: Place, who: str) -> process.Took:
    """Another line in one file that a program reads again when it is told to."""
    first = place.tags[0]
    place.settle(first)
    place.changes += 1
    line = f"{SLIGHT}{place.changes}\n"
    for path in (place.checkout, *(place.files("core", tag) for tag in place.tags)):
        file = path / CHANGED
        text = file.read_text().partition(SLIGHT)[0]
        file.write_text(text + line)
    commit(place, "one changed file")
    of = "label=com.docker.compose"
    told = f"docker ps -q --filter {of}.project=ktrdr-core --filter {of}.service=prometheus"
    place.env["BENCH_AFTER"] = f"docker kill -s HUP $({told}) >/dev/null"
    try:
        took = contenders.deploy(place, who, ONE, first)
    finally:
        del place.env["BENCH_AFTER"]
    place.at = first if who == "ours" and not took.status else ""
    return took


def _preflight(place: Place, who: str) -> process.Took:
    place.settle(place.tags[0])
    if who != "ours":
        return contenders.deploy(place, who, ONE, place.tags[0])
    command = place.ours("preflight", "--node", "core", "--tag", place.tags[0])
    return process.run(command, place.checkout, place.env, place.log)


def _start(place: Place, who: str) -> process.Took:
    bare = place.folder / "bare"
    if not bare.exists():
        bare.mkdir()
        (bare / "tasks.py").write_text("from invoke import task\n\n\n@task\ndef one(c):\n    pass\n")
    folder = bare if who == "bare-invoke" else place.checkout
    program = "fab" if who == "fab" else "invoke"
    return process.run([BIN / program, "--list"], folder, place.env, place.log)


FAR = ("ssh-cm", "ours", "ssh", "fabric", "pyinfra", "ansible")

CASES: Mapping[str, Case] = {
    "nothing-to-do": Case("Nothing to do, one host", _nothing(ONE), far=FAR, warm=1),
    "nothing-to-do-3": Case("Nothing to do, three hosts", _nothing(THREE), far=FAR, nodes=THREE, warm=1),
    "new-tag": Case("A new tag whose image is on the host", _switch, far=FAR),
    "new-tag-pull": Case("A new tag that has to be pulled", _switch_and_pull, far=FAR),
    "new-tag-rolling": Case(
        "A new tag whose image is on the host, without losing a request",
        _switch,
        ("floor", "ours"),
        rolls=True,
    ),
    "one-file": Case("One changed file, and a reload", _file),
    "rollback": Case("Rollback", _rollback, ("floor", "ours", "ssh-cm"), far=("ssh-cm", "ours")),
    "preflight": Case(
        "Preflight, against a deployment with nothing to do", _preflight, ("floor", "ours"), warm=1
    ),
    "start-up": Case(
        "--list", _start, ("bare-invoke", "ours", "fab"), "bare-invoke", nodes=(), warm=1, counts="cpu"
    ),
    "outage": Case(
        "Failing requests during a switch", _outage, ("floor", "ours", "ssh-cm"), counts="outage", rolls=True
    ),
    **{
        f"hosts-{count}": Case(
            f"status of {count} {'host' if count == 1 else 'hosts'} without Docker",
            many.asked(count),
            ("fabric", "ours", "pyinfra"),
            "fabric",
            nodes=(),
            warm=1,
            counts="cpu",
        )
        for count in many.COUNTS
    },
}
"""By name, in the order in which they are measured."""


def with_latency(name: str, milliseconds: int) -> tuple[str, Case]:
    """A case under this latency, and its name; compared to ssh with one connection, since the bare commands have none."""
    case = CASES[name]
    if not milliseconds:
        return name, case
    return f"{name}+{milliseconds}ms", replace(case, who=case.far, base="ssh-cm")
