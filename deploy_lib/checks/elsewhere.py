"""Whether the stack runs on its host already, under another name or in another directory: a new project would stand beside it,
with new, empty volumes."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct

from deploy_lib.checks.check import Check, judged
from deploy_lib.compose.publisher import Publisher
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.image import Image


class Found(Struct, frozen=True):
    """A Compose project, or containers of none, in which the stack may run already.

    Attributes:
        project: "" for containers that Compose has not started.
        signs: why it may be the stack, in words.
        sure: one of them can be nothing else.
    """

    project: str
    directories: tuple[str, ...]
    signs: tuple[str, ...]
    sure: bool


def check_elsewhere(node: Node, project: str, facts: Facts, others: Collection[str] = ()) -> Check:
    """That what is about to be deployed does not run here already, as another project.

    It is found by where its containers' labels say that it lies, by fixed names of containers, by ports, by volumes that both would
    write to, and by services of the same names from the same images.

    Args:
        project: the name of the Compose project that would be deployed.
        others: the directories of other nodes of deploy.toml on this host, whose projects are known.
    """
    found = sorted(find(node, project, facts, others), key=lambda f: (not f.sure, -len(f.signs), f.project))
    what = "; ".join(_told(each) for each in found)
    return judged(
        "what runs here",
        "the stack does not run here already under another name",
        f"{what}: {project} would stand beside it, {_volumes(found)}" if found else "",
        " ".join(_line(node, each) for each in found[:1]),
        otherwise="failed" if any(each.sure for each in found) else "warning",
    )


def find(node: Node, project: str, facts: Facts, others: Collection[str]) -> list[Found]:
    """The projects in which the stack may run already; none where it runs as this one."""
    if facts.containers:
        return []
    groups: dict[str, list[Publisher]] = {}
    for each in facts.machine.publishers:
        if each.project != project and each.directory not in others:
            groups.setdefault(each.project, []).append(each)
    found = []
    for name, containers in groups.items():
        signs = dict(_signs(node, facts, containers, known=bool(name)))
        if signs:
            places = tuple(sorted({c.directory for c in containers if c.directory}))
            found.append(Found(name, places, tuple(signs), any(signs.values())))
    return found


def _signs(
    node: Node, facts: Facts, containers: Collection[Publisher], *, known: bool
) -> Iterator[tuple[str, bool]]:
    """Why these containers may be the stack, each with whether it is sure.

    Args:
        known: they are a Compose project.
    """
    if known and str(node.directory) in {c.directory for c in containers}:
        yield f"lies in {node.directory}", True
    services = {name: s for name, s in facts.services.items() if s.replicas}
    fixed = {name for s in services.values() if (name := s.container_name)}
    for name in sorted(fixed & {c.name for c in containers}):
        yield f"has the container {name}", True
    wanted = [port for s in services.values() if not s.host_network for port in s.ports]
    # A port alone may be held by anything; the check of the ports says so.
    related = known and bool({c.service for c in containers} & {*services})
    for port in sorted(wanted, key=str):
        if related and any(port.collides(held) for c in containers for held in c.ports):
            yield f"holds the port {port}", True
    # Two databases on one volume destroy it. What is external is shared on purpose.
    own = {made.name for s in services.values() for made in s.made if made.kind == "volume"}
    written = {m.volume for s in services.values() for m in s.mounts if m.writable} & own
    for name in sorted(written & {name for c in containers for name in c.volumes}):
        yield f"{_WRITES} {name}", True
    alike = sorted(
        name
        for name, s in services.items()
        if any(c.service == name and _same_program(c.image, s.image) for c in containers)
    )
    if known and alike and len(alike) == len(services):
        yield f"has the services {', '.join(alike)}, from the same images", False


_WRITES = "writes to the volume"


def _volumes(found: Collection[Found]) -> str:
    shared = any(sign.startswith(_WRITES) for each in found for sign in each.signs)
    return "and write to the same volume" if shared else "with volumes of its own"


def _same_program(image: str, wanted: Image) -> bool:
    """Whether two references name one repository, whichever version; an id names none."""
    return not image.startswith("sha256:") and Image(Image.parse(image).repository) == Image(
        wanted.repository
    )


def _told(found: Found) -> str:
    signs = " and ".join(found.signs)
    if not found.project:
        return f"what was started here without Compose {signs}"
    where = f", started in {' and '.join(found.directories)}," if found.directories else ""
    return f"the Compose project {found.project}{where} {signs}"


def _line(node: Node, found: Found) -> str:
    if not found.project:
        return "remove those containers first, when their data is safe: docker rm -f NAME; Compose adopts only what it has started"
    directory = [d for d in found.directories if d != str(node.directory)]
    lines = [f'project = "{found.project}"', *(f'directory = "{d}"' for d in directory[:1])]
    return (
        f"if that is this stack, put {' and '.join(lines)} into the node {node.name} of deploy.toml, and it is adopted; "
        "if not, give one of the two other names and ports, or take it down"
    )
