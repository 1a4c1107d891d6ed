"""Risk: containers that are replaced or removed, and what is asked of their host before that is known to lose nothing; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct, field

from deploy_lib.compose.container import Container
from deploy_lib.compose.mounts import Held
from deploy_lib.config import Node
from deploy_lib.host.look.data import Found, Question
from deploy_lib.host.look.facts import Facts
from deploy_lib.release.image import Image


class Risk(Struct, frozen=True):
    """What happens to one service's containers.

    Attributes:
        goes: the containers that are replaced or removed; none where the service has none yet.
        after: what it is to have mounted; None: it has no container any more.
        image: what it is to run.
        called: the same as the Compose file calls it; an image that came from no registry has only an id otherwise.
        environment: what the Compose file sets for it.
        command: likewise, what is run in it.
        ends: it ends by itself, when its work is done.
        sure: its containers go in any case; otherwise only where Compose finds another configuration.
        rewritten: the files that its configuration stands in have changed.
        new: nothing of it was ever here.
    """

    service: str
    goes: tuple[Container, ...]
    after: tuple[Held, ...] | None
    image: Image | None = None
    called: Image | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    ends: bool = False
    sure: bool = True
    rewritten: bool = True
    new: bool = False

    @property
    def doing(self) -> str:
        """What would happen to it, for people."""
        return "removing it" if self.after is None else "recreating it"


class Scene(Struct, frozen=True):
    """What all risks of one node have in common.

    Attributes:
        risks: the containers that are replaced or removed, by service.
        mounted: the names of the volumes, and the host's paths, that any service of the new files mounts; None where the files
            stay as they are.
        shipped: the paths that the release puts below the stack's directory.
        pulled: the images of the release are on the host by now.
    """

    node: Node
    project: str
    facts: Facts
    risks: Sequence[Risk]
    mounted: frozenset[str] | None = None
    shipped: frozenset[str] = frozenset()
    pulled: bool = False

    @property
    def still_mounted(self) -> frozenset[str]:
        """What is mounted afterwards. Where the files stay, that is what the containers have which are not removed."""
        if self.mounted is not None:
            return self.mounted
        removed = {container.id for risk in self.risks if risk.after is None for container in risk.goes}
        stay = (container for container in self.facts.containers if container.id not in removed)
        return frozenset(held.source for container in stay for held in container.mounts if held.source)

    def belongs(self, source: str) -> bool:
        """Whether a path of the host is the release's own, and no data."""
        path = PurePosixPath(source)
        if not path.is_relative_to(self.node.directory):
            return False
        below = str(path.relative_to(self.node.directory))
        return any(each == below or each.startswith(f"{below}/") for each in self.shipped)


class Look:
    """What is known of a host's data, and what should be; who asks gets the careful answer where that is not known yet.

    Attributes:
        lacking: images that the host does not have yet, of which something should be known.
    """

    def __init__(self, found: Found) -> None:
        self._found = found
        self._layers: list[str] = []
        self._held: list[tuple[str, str]] = []
        self._files: list[tuple[str, str]] = []
        self._variables: list[tuple[str, tuple[str, ...]]] = []
        self._volumes: list[str] = []
        self._sources: list[str] = []
        self._stored: list[tuple[str, str]] = []
        self._directory: PurePosixPath | None = None
        self.lacking: set[Image] = set()

    def layer(self, container: Container) -> Mapping[str, int] | None:
        """Bytes by directory in its own layer; None where that is not known."""
        self._layers.append(container.id)
        return self._found.layers.get(container.id)

    def held(self, container: Container, path: str) -> bool:
        """Whether any file lies there."""
        self._held.append((container.id, path))
        return self._found.held.get((container.id, path), True)

    def files(self, container: Container, directory: str, names: Sequence[str]) -> dict[str, bytes]:
        """The first bytes of those of these files that are there."""
        wanted = {name: (container.id, f"{directory}/{name}") for name in names}
        self._files += wanted.values()
        return {name: self._found.files[key] for name, key in wanted.items() if key in self._found.files}

    def stored(self, volume: str, directory: str, names: Sequence[str]) -> dict[str, bytes]:
        """The same of a volume that no container has."""
        wanted = {name: (volume, str(PurePosixPath(directory) / name)) for name in names}
        self._stored += wanted.values()
        return {name: self._found.stored[key] for name, key in wanted.items() if key in self._found.stored}

    def variables(self, of: str, names: Sequence[str]) -> Mapping[str, str]:
        """Of a container's or an image's environment, those of these names."""
        if names:
            self._variables.append((of, tuple(names)))
        return self._found.variables.get(of, {})

    def volumes(self, image: str) -> frozenset[str] | None:
        """The paths at which an image declares volumes; None where that is not known."""
        self._volumes.append(image)
        return self._found.volumes.get(image)

    def source(self, path: str) -> str:
        """See `Found.sources`; "" where it is not known."""
        self._sources.append(path)
        return self._found.sources.get(path, "")

    def projects(self, directory: PurePosixPath) -> Mapping[str, frozenset[str]]:
        """See `Found.projects`."""
        self._directory = directory
        return self._found.projects

    @property
    def question(self) -> Question:
        """All that was asked for."""
        return Question(
            tuple(dict.fromkeys(self._layers)),
            tuple(dict.fromkeys(self._held)),
            tuple(dict.fromkeys(self._files)),
            tuple(dict.fromkeys(self._variables)),
            tuple(dict.fromkeys(self._volumes)),
            tuple(dict.fromkeys(self._sources)),
            tuple(dict.fromkeys(self._stored)),
            self._directory,
        )
