"""No answer of a host ends in a traceback, and what is not known is never taken for absent.

Each answer that a host gives is a real one first; then it is cut, doubled, mixed with foreign lines, or has other types
than it should. What comes of it is a value or a DeployError.
"""

import base64
import contextlib
import copy
import io
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from deploy_lib.answers import Parts
from deploy_lib.checks import check_answered, check_host
from deploy_lib.cli.status import as_dict
from deploy_lib.compose.container import Container, read_container
from deploy_lib.compose.file import project_name
from deploy_lib.compose.model import read_model
from deploy_lib.config import Probe, load
from deploy_lib.errors import DeployError, NotUnderstoodError
from deploy_lib.host import files
from deploy_lib.host.change import lock
from deploy_lib.host.change.following import Following
from deploy_lib.host.change.history import event
from deploy_lib.host.change.place import Placement
from deploy_lib.host.change.signs import BEGUN, NEVER, UNKNOWN
from deploy_lib.host.change.switch import Switch
from deploy_lib.host.change.watch import Watch
from deploy_lib.host.look import hashes, logs, machine, reading, registry, sizes
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.prove import probe, roster
from deploy_lib.host.stack import HostStack
from deploy_lib.plan.status import status
from deploy_lib.release.history import parse_events
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release
from deploy_lib.ssh.process import Process
from deploy_lib.ssh.session import Session
from tests import ROOT
from tests.unit.host.look.test_gather import ANSWER

NODE = load(ROOT, "lab").nodes["core"]
RELEASE = Release(
    "r1", "sha-0000001", None, {"web": Image("x", "1", "sha256:1")}, {"a": "1"}, replicas={"web": 1}
)
PROVEN = event("proven", RELEASE, hashes={"web": "h"}, seconds=3.5)
CONTAINER = next(line for line in ANSWER.splitlines() if line.startswith('{"id"'))
CONFIG = json.dumps(
    {
        "services": {
            "web": {
                "image": "x",
                "deploy": {"replicas": 2},
                "ports": [{"published": "80", "target": 80}],
            }
        }
    }
)
FULL = ANSWER.replace("=== history\n", f"=== history\n{PROVEN.line()}\n")

FOREIGN = st.sampled_from(
    [
        "=== Welcome ===",
        "=== end",
        "===",
        "=== engine",
        "=== key exit 0",
        "! odd",
        "{",
        "[]",
        "null",
        "\ufffd",
        "",
        "x" * 200,
    ]
) | st.text(max_size=20)

ODD = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**400, "", "x", "²", "\ufffd", [], ["x"], [[None]], {}, {"x": None}]
)


@st.composite
def mangled(draw: st.DrawFn, answer: str) -> str:
    """An answer of lines, cut, doubled, mixed."""
    lines = answer.split("\n")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1)) if lines else 0
        match draw(st.sampled_from(["drop", "double", "foreign", "cut", "odd", "end"])):
            case "drop":
                del lines[at : at + draw(st.integers(1, 4))]
            case "double":
                lines[at:at] = lines[at : at + draw(st.integers(1, 6))]
            case "foreign":
                lines.insert(at, draw(FOREIGN))
            case "cut" if lines:
                lines[at] = lines[at][: draw(st.integers(0, 40))]
            case "odd" if lines and lines[at].startswith("{"):
                lines[at] = draw(retyped(lines[at]))
            case "end":
                del lines[at + 1 :]
        lines = lines or [""]
    return "\n".join(lines)


@st.composite
def retyped(draw: st.DrawFn, document: str) -> str:
    """A JSON document in which something has another type, or is gone; one that has been cut already stays as it is."""
    try:
        data = json.loads(document)
    except ValueError:
        return document
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(data))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            holder[key] = copy.deepcopy(draw(ODD))
        else:
            del holder[key]
    if draw(st.integers(0, 9)) == 0:
        data = draw(ODD)
    text = json.dumps(data)
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 4)) == 0 else text


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(entries):
        yield data, key
        yield from _places(value)


def or_error(work: Callable[[], object]) -> object:
    """What it gives, or None: for an error that an operator is meant to read. Anything else fails the test."""
    with contextlib.suppress(DeployError):
        return work()
    return None


def judged(found: Facts) -> None:
    """All that is made of facts before anything is decided."""
    for rendered in (True, False):
        list(check_host(NODE, found, rendered=rendered))
        check_answered(NODE, found, rendered=rendered)
    if not found.problems:
        json.dumps(as_dict(status(found)))


# --- the facts --------------------------------------------------------------------------------------------


@given(mangled(FULL))
def test_facts(text: str) -> None:
    found = or_error(lambda: reading.read_facts(text, "core"))
    if isinstance(found, Facts):
        judged(found)


@pytest.mark.parametrize("part", reading.PARTS)
def test_a_part_that_is_missing_or_there_twice_is_no_answer(part: str) -> None:
    begin, end = f"=== {part}\n", f"=== {part} exit 0\n" if part != "compose" else "=== compose exit 1\n"
    before, _, rest = FULL.partition(begin)
    inside, _, after = rest.partition(end)
    for text in (
        before + after,
        before + inside + after,
        before + (begin + inside + end) * 2 + after,
        before,
    ):
        with pytest.raises(NotUnderstoodError) as caught:
            reading.read_facts(text, "core")
        assert str(caught.value).startswith("core, gathering facts: ")


@pytest.mark.parametrize("part", reading.PARTS)
def test_a_part_that_failed_is_unknown(part: str) -> None:
    text = FULL.replace(f"=== {part} exit 0\n", f"=== {part} exit 2\n! {part}: Permission denied\n")
    assert reading.read_facts(text, "core").problems[part]


@pytest.mark.parametrize("foreign", ["=== Welcome ===", "=== Welcome", "=== tools", "Last login: today", "{"])
@pytest.mark.parametrize("part", reading.PARTS)
def test_a_foreign_line_between_two_parts_changes_nothing_or_is_an_error(part: str, foreign: str) -> None:
    begin = f"=== {part}\n"
    found = or_error(lambda: reading.read_facts(FULL.replace(begin, f"{foreign}\n{begin}"), "core"))
    assert found in (None, reading.read_facts(FULL, "core"))


@pytest.mark.parametrize(
    "part",
    ["engine", "compose", "memory", "files", "images", "containers", "config", "blank", "layers", "key"],
)
def test_a_foreign_line_in_a_part_is_never_an_answer(part: str) -> None:
    text = FULL.replace("=== compose exit 1", "=== compose exit 0").replace(
        "=== compose\n", "=== compose\n2.26.1\n"
    )
    found = reading.read_facts(text.replace(f"=== {part}\n", f"=== {part}\n=== Welcome ===\n"), "core")
    assert found.problems[part].endswith("cannot be understood")
    assert check_answered(NODE, found, rendered=False).problem or part in ("compose",)


@given(st.dictionaries(st.sampled_from(machine.PARTS), FOREIGN))
def test_machine(said: dict[str, str]) -> None:
    parts = Parts(said)
    machine.read_machine(parts)
    assert set(machine.PARTS) - set(said) <= set(parts.problems)


@given(retyped(CONTAINER))
def test_containers(line: str) -> None:
    found = or_error(lambda: read_container(line))
    if isinstance(found, Container):
        assert all(
            isinstance(v, str) for v in (found.id, found.name, str(found.image), found.state, found.started)
        )


@given(retyped(CONFIG))
def test_the_rendered_compose_file(text: str) -> None:
    or_error(lambda: read_model(text))


@given(st.lists(retyped(PROVEN.line()) | FOREIGN))
def test_the_history(lines: list[str]) -> None:
    found = or_error(lambda: parse_events("\n".join([*lines, PROVEN.line()])))
    if found is not None:
        shown = [f"{e.at}{e.seconds:.0f}{e.detail.partition('.')}" for e in cast(Any, found)]
        assert shown
        assert cast(Any, found)[-1] == PROVEN
        judged(Facts(history=tuple(cast(Any, found)), services={}))


def test_a_whole_line_that_is_no_event_is_not_passed_over() -> None:
    for line in ('{"kind":"proven"}', PROVEN.line().replace('"at":"', '"at":1,"x":"')):
        with pytest.raises(DeployError, match="an event of the history cannot be understood"):
            parse_events(f"{PROVEN.line()}\n{line}\n")


# --- the switch -------------------------------------------------------------------------------------------

STREAM = "\n".join(
    [BEGUN, "Pulling", "=== switched 0", "=== containers", CONTAINER, "=== .", "=== containers", UNKNOWN, "=== .",
     "=== back 0", NEVER, "=== done revert", "=== end 0"]
)  # fmt: skip


class Said:
    """A process that says what a test wants, and ends."""

    stderr = "sh: setsid: not found\n"

    def __init__(self, text: str, code: int) -> None:
        self._lines, self._code = iter(text.split("\n")), code

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def extend(self, seconds: float) -> None:
        """Has all the time there is."""

    def wait(self) -> int:
        return self._code


@given(mangled(STREAM), st.sampled_from([0, 1, 73, 127]))
def test_what_a_switch_says(text: str, code: int) -> None:
    orders = Switch("token", Placement(), Placement(), [PROVEN], PROVEN, PROVEN)
    session = cast(Session, SimpleNamespace(run=lambda *_, **__: None, require_alive=lambda: None))
    steps: list[Callable[[Watch], object]] = [
        Watch.finish,
        lambda watch: next(watch.looks()),
        lambda watch: watch.conclude("revert", [PROVEN]),
        Watch.await_back,
        lambda watch: watch.await_end("revert"),
    ]
    following = Following(session, "A", "switch", cast(Process, Said(text, code)), lambda line: None)
    watch = Watch(session, HostStack(NODE, "p"), orders, following)
    for step in steps:
        or_error(lambda step=step: step(watch))  # type: ignore[misc]


# --- what else hosts answer -------------------------------------------------------------------------------

OWNER = json.dumps(asdict(lock.me("a test")))


@given(retyped(OWNER) | FOREIGN)
def test_lock_notes(note: str) -> None:
    assert lock.describe(note)
    first = note.split("\n")[0]
    found = or_error(
        lambda: reading.read_facts(FULL.replace("=== locked\n", f"=== locked\n{first}\n"), "core")
    )
    if isinstance(found, Facts):
        judged(found)


MANIFEST = json.dumps(
    {"Descriptor": {"digest": f"sha256:{'a' * 64}"}, "Platforms": [{"os": "linux", "architecture": "arm64"}]}
)


@given(retyped(MANIFEST) | FOREIGN, st.sampled_from([200, 401, 404, 500]))
def test_what_the_engine_says_of_a_reference(body: str, code: int) -> None:
    found = registry._manifest(Image("r/x", "1"), code, body.encode())
    assert found.digest or found.problem
    assert not found.digest or found.digest.startswith("sha256:")


HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(MANIFEST)}\r\n\r\n{MANIFEST}"
CHUNKS = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{len(MANIFEST):x}\r\n{MANIFEST}\r\n0\r\n\r\n"


@given(mangled(HEAD) | mangled(CHUNKS) | FOREIGN)
def test_the_engines_http(stream: str) -> None:
    answers = registry._Answers(stream.encode())
    for _ in range(2):
        found = registry._manifest(Image("r/x", "1"), *registry._response(answers))
        assert found.digest or found.problem


SIZES = json.dumps(
    [
        {
            "Descriptor": {"platform": {"os": "linux", "architecture": "amd64"}},
            "OCIManifest": {"config": {"size": 10}, "layers": [{"size": 7}]},
        }
    ]
)


@given(st.lists(retyped(SIZES) | FOREIGN))
def test_sizes(documents: list[str]) -> None:
    text = "".join(f"=== image\n{document}\n" for document in documents)
    assert all(isinstance(size, int) for size in sizes.read_sizes(text, "linux/amd64").values())


@given(FOREIGN | mangled("web aa11\ndb bb22\n"))
def test_hashes(text: str) -> None:
    session = cast(Session, SimpleNamespace(node="core", run=lambda *_, **__: SimpleNamespace(stdout=text)))
    or_error(lambda: hashes.ask_hashes(session, [(HostStack(NODE, "p").project, {})], {}))


TAR = base64.b64encode(files.pack({"a": b"x" * 600, "b": b"y"})).decode()


@given(FOREIGN | mangled(TAR) | st.integers(0, len(TAR)).map(lambda n: TAR[:n]))
def test_files(text: str) -> None:
    session = cast(Session, SimpleNamespace(node="core", run=lambda *_, **__: SimpleNamespace(stdout=text)))
    or_error(lambda: files.read_files(session, NODE.directory, ["a", "b"]))


@given(FOREIGN)
def test_logs(text: str) -> None:
    assert logs.read_line(text).service is not None


ROSTER = json.dumps(
    {"workers": [{"worker_id": "w", "endpoint_url": "http://h:5003", "status": "busy"}], "status": "ok"}
)
PROBE = Probe(
    name="p",
    url="http://127.0.0.1/x",
    json={"status": "ok", "workers.0.status": "busy"},
    entries="workers",
    entry={"worker_id": ["*{container}*"], "status": ["busy"]},
)
MEMBER = roster.Member("web", "0123456789ab", {"container": "0123456789ab"})


@given(retyped(ROSTER) | FOREIGN, st.sampled_from([200, 503]))
def test_probes(body: str, code: int) -> None:
    problem, _ = probe.judge(PROBE, code, body.encode(errors="replace"), [MEMBER])
    assert problem  # the worker is in no such list


COMPOSE_FILE = json.dumps(
    {
        "name": "p",
        "services": {"web": {"image": "x", "secrets": ["pw", {"source": "pw", "target": "t"}]}},
        "secrets": {"pw": {"environment": "PW"}},
    }
)


@given(retyped(COMPOSE_FILE) | FOREIGN)
def test_the_hosts_compose_file(text: str) -> None:
    or_error(lambda: project_name([(text.encode(errors="replace"), "compose.yml")]))


def test_the_fuzzer_finds_what_it_is_for() -> None:
    """Real answers are no errors: otherwise the tests above would prove nothing."""
    assert not set(reading.read_facts(FULL, "core").problems) - {"compose"}
    assert read_container(CONTAINER)
    assert read_model(CONFIG)["web"].replicas == 2
    assert files.unpack(io.BytesIO(base64.b64decode(TAR)).read()) == {"a": b"x" * 600, "b": b"y"}
    assert project_name([(COMPOSE_FILE.encode(), "compose.yml")]) == "p"
