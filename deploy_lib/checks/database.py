"""That a database finds its data again, and can read them: in a mount, at the place where its program looks, of a version that it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from deploy_lib.checks.risk import Look, Risk
from deploy_lib.compose.container import Container
from deploy_lib.compose.mounts import Held, at
from deploy_lib.config import Node
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.programs.data import Data, keeper_of
from deploy_lib.release.image import Image


class Loss(Struct, frozen=True):
    """Data of a service that would be lost, left behind, or that could not be read.

    Attributes:
        hint: what to do about it.
        layer: the container in whose own layer they lie.
        later: nothing is lost now, but when the container is replaced one day, or where the deployment fails.
    """

    service: str
    problem: str
    hint: str
    layer: str = ""
    later: bool = False


class Judge(Struct, frozen=True):
    """One service at risk, with what is known of its host.

    Attributes:
        pulled: see `Scene`.
    """

    node: Node
    facts: Facts
    risk: Risk
    look: Look
    pulled: bool = False

    def loss(self, problem: str, hint: str, layer: str = "") -> Loss:
        """A loss of this service, which its owner may accept."""
        accept = f'or accept it: accept_loss = ["{self.risk.service}"] in [stacks.{self.node.stack_name}] of deploy.toml'
        return Loss(self.risk.service, problem, f"{hint}, {accept}", layer)

    def in_layer(self, container: Container, what: str, where: str) -> Loss:
        """Data in a container's own layer.

        Args:
            where: paths in the container, "" where they are not known.
        """
        if self.backed_up:
            first = self.node.task("backup")
        else:
            first = f"on the host: docker cp {container.name}:{where.partition(', ')[0] or 'PATH'} TO; or docs/backups.md"
        shown = f" ({where})" if where else ""
        problem = (
            f"{self.risk.service} keeps {what} in its own layer{shown}, which {self.risk.doing} would lose"
        )
        return self.loss(problem, f"back it up ({first}), mount a volume there", container.id)

    @property
    def backed_up(self) -> bool:
        """Whether `invoke backup` can be asked for its data."""
        named = {backup.service for backup in self.node.stack.backups}
        return self.risk.service in named and self.facts.proven is not None

    def on_host(self, image: Image) -> bool:
        """Whether the host can be asked about an image; one that it lacks is asked about when it has been pulled."""
        if self.pulled or self.facts.has(image):
            return True
        self.look.lacking.add(image)
        return False

    def same_image(self, container: Container) -> bool:
        """Whether the container is to run what it runs already."""
        image = self.risk.image
        return image is None or container.image == image or self.facts.id_of(image) == container.image_id

    def inherits(self, container: Container, path: str) -> bool:
        """Whether Compose hands a container's anonymous volume on to the next one: where the new image declares one at that path."""
        if not (self.risk.sure or self.risk.rewritten):
            return True
        image = self.risk.image
        known = image is not None and not self.same_image(container) and self.on_host(image)
        declared = self.look.volumes(str(image) if known else container.image_id)
        return declared is not None and path in {each.rstrip("/") for each in declared}

    @property
    def keeper(self) -> Data | None:
        """The program that keeps data in this service."""
        images = [*([self.called] if self.called else []), *(c.image for c in self.risk.goes)]
        found = (keeper_of(self.node.stack, self.risk.service, image) for image in images)
        return next((each for each in found if each is not None), None)

    @property
    def called(self) -> Image | None:
        """What the service is to run, by a name where it has one."""
        named = [each for each in (self.risk.called, self.risk.image) if each is not None and each.repository]
        return named[0] if named else self.risk.image

    def where(self, container: Container, keeper: Data) -> str:
        """Where the program keeps its data in a container that is there."""
        image = container.image if container.image.repository else self.called or container.image
        if not (self.risk.sure or self.risk.rewritten):
            return keeper.where(image, self.risk.environment, self.risk.command)
        known = self.look.variables(container.id, (*keeper.VARIABLES, *keeper.OPTIONS))
        command = [word for name, value in known.items() if name.startswith("-") for word in (name, value)]
        return keeper.where(image, known, command)

    def covers_database(self, container: Container, held: Held) -> bool:
        """Whether a mount has the program's data."""
        keeper = self.keeper
        return keeper is not None and at(container.mounts, self.where(container, keeper)) == held


def judge_database(judge: Judge) -> Iterator[Loss]:
    """What would become of a database's data; nothing for a service that is none."""
    keeper = judge.keeper
    if keeper is None:
        return
    for container in judge.risk.goes:
        yield from _judge_container(judge, keeper, container)
    if not judge.risk.goes and judge.risk.after is not None and judge.risk.image:
        yield from _judge_volume(judge, keeper, judge.risk.image)


def _judge_container(judge: Judge, keeper: Data, container: Container) -> Iterator[Loss]:
    risk, where = judge.risk, judge.where(container, keeper)
    now = at(container.mounts, where)
    if now is not None and not (risk.sure or risk.rewritten) and risk.after is not None and now in risk.after:
        return
    files = judge.look.files(container, where, keeper.FILES)
    there = bool(files) if keeper.FILES else judge.look.held(container, where)
    if now is None:
        if there:
            size = judge.facts.layers.get(container.id)
            what = "its database" if size is None else f"{max(1, round(size / 1024 / 1024))} MiB"
            yield judge.in_layer(container, what, where)
        return
    if risk.after is None or not there:
        return
    image = risk.image or container.image
    known = _environment(judge, keeper, container, image)
    then = keeper.where(judge.called or image, known, risk.command)
    yield from _moved(judge, now, risk.after, where, then, container)
    if not judge.same_image(container):
        yield from _versions(judge, keeper, files, known)


def _environment(judge: Judge, keeper: Data, container: Container | None, image: Image) -> dict[str, str]:
    """What the new container has of the variables that the program wants to know."""
    own: Mapping[str, str] = {}
    if container is not None and judge.same_image(container):
        own = judge.look.variables(container.image_id, keeper.VARIABLES)
    elif judge.on_host(image):
        own = judge.look.variables(str(image), keeper.VARIABLES)
    elif container is not None:
        # Until it is pulled, it counts as like the one before, but for its version.
        before = judge.look.variables(container.image_id, keeper.VARIABLES)
        own = {name: value for name, value in before.items() if value.startswith("/") and ":" not in value}
    return {**own, **judge.risk.environment}


def _moved(
    judge: Judge,
    now: Held,
    after: tuple[Held, ...],
    where: str,
    then: str,
    container: Container,
) -> Iterator[Loss]:
    """Whether the program would look where its data are."""
    service, there = judge.risk.service, at(after, then)
    if there is None:
        if now.anonymous and now.covers(then) and judge.inherits(container, now.target):
            there = now
        elif now.kind == "volume" and not now.anonymous and not any(h.source == now.source for h in after):
            return  # the volume itself is missed
        else:
            problem = f"{service} has its database at {where}, and would keep it in its own layer: nothing is mounted at {then}"
            yield judge.loss(problem, f"mount {now.source if not now.anonymous else 'a volume'} at {then}")
            return
    if there.anonymous and now.anonymous and there.target == now.target:
        there = now
    if (there.kind, there.source) != (now.kind, now.source):
        if there.kind == "bind" and judge.look.source(there.source) not in ("full", "file"):
            problem = f"{service} has its database in {_name(now)}, and would look for it in {there.source}, which is empty"
            yield judge.loss(problem, f"copy the database there, or mount {_name(now)} again")
        elif there.kind != "bind" and now.kind == "bind":
            problem = f"{service} has its database in {_name(now)}, and would look for it in {_name(there)}"
            yield judge.loss(problem, f"copy the database there, or mount {_name(now)} again")
        return
    if there.place_of(then) != now.place_of(where):
        problem = (
            f"{service} has its database at {where} (in {_name(now)}: {now.place_of(where)}), and would look for it at "
            f"{then} (in {_name(there)}: {there.place_of(then)})"
        )
        yield judge.loss(problem, f"mount {_name(now)} so that {then} has the database")


def _name(held: Held) -> str:
    if held.kind == "volume":
        return "a volume without a name" if held.anonymous else f"the volume {held.source}"
    return "memory" if held.kind == "tmpfs" else held.source


def _versions(
    judge: Judge, keeper: Data, files: Mapping[str, bytes], known: Mapping[str, str]
) -> Iterator[Loss]:
    """Whether the new image reads the data."""
    made, wanted = keeper.made_by(files), keeper.made_for(judge.called or Image(""), known)
    if made and wanted and (why := keeper.refuses(made, wanted, judge.risk.environment)):
        problem, _, way = why.partition(": ")
        yield judge.loss(f"{judge.risk.service}: {problem}", way or "see the program's own documentation")
    elif made and wanted and (what := keeper.changes(made, wanted)):
        problem = f"{judge.risk.service}: {what}, which the image before does not read: a failure cannot go back to it"
        hint = "back it up first" + (f": {judge.node.task('backup')}" if judge.backed_up else "")
        yield Loss(judge.risk.service, problem, hint, later=True)


def _judge_volume(judge: Judge, keeper: Data, image: Image) -> Iterator[Loss]:
    """The same where no container is there, from what this user may read of the volume itself."""
    known = _environment(judge, keeper, None, image)
    then = keeper.where(judge.called or image, known, judge.risk.command)
    there = at(judge.risk.after or (), then)
    if there is None:
        # The image's own variables say where it is, and its volumes whether anything keeps it.
        declared = judge.look.volumes(str(image)) if judge.on_host(image) else None
        if declared is not None and not any(
            Held("volume", "", each.rstrip("/")).covers(then) for each in declared
        ):
            problem = (
                f"{judge.risk.service} would keep its database in its own layer: nothing is mounted at {then}"
            )
            hint = "mount a volume there: what replaces the container would lose it"
            yield Loss(judge.risk.service, problem, hint, later=True)
    elif there.kind == "volume" and there.source:
        files = judge.look.stored(there.source, there.place_of(then), keeper.FILES)
        yield from _versions(judge, keeper, files, known)
