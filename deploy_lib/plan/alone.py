"""Services by themselves: a release in which some are as the checkout has them, and the others stay as they run; pure.

Compose reads the files that the others were made from, and after them a part for each service that the checkout has otherwise
(`compose/part.py`). Files are those of either, as `beside.py` says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NoReturn

from msgspec import Struct, field

from deploy_lib import layout
from deploy_lib.compose.model import secret_files
from deploy_lib.compose.override import delivered_in, mounted_mark, override_file
from deploy_lib.compose.part import Part, make_part, needed_services, same_part
from deploy_lib.compose.service import Service
from deploy_lib.config import Node, Probe
from deploy_lib.errors import PreflightError
from deploy_lib.host.look.facts import Facts
from deploy_lib.plan.beside import Files
from deploy_lib.plan.desired import Desired, told_of
from deploy_lib.release.files import Entry, content_of, followed
from deploy_lib.release.image import Image
from deploy_lib.release.release import Release, Version
from deploy_lib.secrets.fingerprint import read_marks
from deploy_lib.secrets.places import Place
from deploy_lib.values import replace


class Alone(Struct, frozen=True):
    """Which services are to be as the checkout has them.

    Attributes:
        services: the chosen ones, as the checkout has them, with their pinned images.
        secrets: by chosen service, the fingerprints of its secret values.
        files: of the checkout.
        project: the Compose files and the env files of the release that runs, without what a release generates.
        inputs: all files that Compose reads of that release, without the same.
        memory: where the files of secrets lie in memory; None where Compose hands the values over.
        patches: by chosen service, see `Release.patches`.
    """

    node: Node
    services: Mapping[str, Service]
    images: Mapping[str, Image]
    secrets: Mapping[str, str]
    files: Mapping[str, Entry]
    project: tuple[tuple[str, ...], tuple[str, ...]]
    inputs: Collection[str]
    memory: PurePosixPath | None = None
    probes: Sequence[Probe] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)
    patches: Mapping[str, str] = field(default_factory=dict)


def release_alone(alone: Alone, facts: Facts, release_id: str, version: Version) -> Desired:
    """A release that differs from the proven one in the chosen services, and in nothing else.

    Raises:
        PreflightError: nothing is deployed yet, the host's files are no longer those of its record, or the others would not stay
            as they run.
    """
    before = _require_before(alone, facts)
    return _Mixed(alone, before, facts.deployed or {}).release(release_id, version)


def parts_of(release: Release) -> list[str]:
    """The services that were deployed by themselves, and have a part of their own since."""
    parts = [PurePosixPath(path) for path in release.compose_files]
    return sorted(path.stem for path in parts if str(path.parent) == layout.SERVICES)


def _require_before(alone: Alone, facts: Facts) -> Release:
    names, node = " and ".join(sorted(alone.services)), alone.node
    whole = _whole(node)
    if facts.proven is None:
        raise PreflightError(
            f"nothing is deployed yet, so {names} cannot be deployed by itself", node=node.name, hint=whole
        )
    if facts.adopted:
        raise PreflightError(
            f"what runs was started by hand, so {names} cannot be deployed by itself",
            node=node.name,
            hint=whole,
        )
    before = facts.proven.release
    edited = sorted(path for path, mark in before.files.items() if facts.files.get(path) != mark)
    if edited:
        raise PreflightError(
            f"files on the host are not those of its release: {', '.join(edited)}",
            node=node.name,
            hint=f"{whole}, which puts them right",
        )
    if not facts.deployed or set(before.images) - set(facts.deployed):
        raise PreflightError(
            f"the host's Compose does not read the files that run, so it is unknown what stays beside {names}",
            node=node.name,
            hint=whole,
        )
    return before


class _Mixed:
    """The release that runs, and what the chosen services change of it."""

    def __init__(self, alone: Alone, before: Release, deployed: Mapping[str, Service]) -> None:
        self.alone, self.before, self.deployed = alone, before, deployed
        self.kept = {name: deployed[name] for name in before.images if name not in alone.services}
        self.files = Files(
            before.files, alone.files, alone.inputs, alone.node.stack.data, chosen=alone.services
        )

    def release(self, release_id: str, version: Version) -> Desired:
        alone, before = self.alone, self.before
        self.require_services()
        self.require_secrets()
        made, parts = dict[str, Service](), [*alone.project[0]]
        for name, service in sorted(alone.services.items()):
            part, path = self.part(service), f"{layout.SERVICES}/{name}.yml"
            made[name] = part.service
            old = self.deployed.get(name)
            if path not in before.files and old and same_part(part.service, old):
                continue
            # What others must not read may stand in it: an env file that only the host has.
            self.files.put({path: Entry(part.content, mode=0o600)})
            parts = [*(p for p in parts if p != path), path]
        images, secrets = {**before.images, **alone.images}, self.secrets()
        mounted = {**before.mounted, **{name: self.mounted(service) for name, service in made.items()}}
        mounted = {name: mark for name, mark in mounted.items() if mark}
        files_of_secrets = self.secret_files(made)
        # Containers of somebody else's may stay beside the chosen ones.
        started = {name: each for name, each in before.as_started.items() if name in self.kept}
        override = override_file(told_of(images, started), secrets, files_of_secrets, mounted)
        self.files.put({layout.OVERRIDE: Entry(override)})
        # A public image of one service does not change the version of the others.
        named = any(image.tag == version.tag for image in alone.images.values())
        ends = {**before.ends, **{name: service.ends for name, service in made.items()}}
        release = replace(
            before,
            id=release_id,
            tag=version.tag if named else before.tag,
            commit=version.commit if named else before.commit,
            images=images,
            as_started=started,
            files=dict(sorted(self.files.marks.items())),
            secrets=secrets,
            replicas={**before.replicas, **{n: alone.replicas.get(n, s.replicas) for n, s in made.items()}},
            restores=None,
            secret_files=files_of_secrets,
            probes=tuple(alone.probes),
            places=self.places(made),
            mounted=mounted,
            ends={name: how for name, how in ends.items() if how},
            compose_files=tuple(parts),
            env_files=alone.project[1],
            inputs=tuple(dict.fromkeys([*alone.inputs, *parts])),
            patches={**{s: p for s, p in before.patches.items() if s in self.kept}, **alone.patches},
        )
        return Desired(
            release, {path: e.content for path, e in self.files.entries.items() if content_of(e.mark)}
        )

    def part(self, service: Service) -> Part:
        """A service's part; its files are put where it will find them.

        Raises:
            PreflightError: others would change with it.
        """
        moved = self.files.take(service, self.kept, self.refuse)
        directory = str(self.alone.node.directory)
        part = make_part(service, self.kept.values(), directory, moved)
        for kind, key in part.clashes:
            users = [name for name, other in self.kept.items() if key in other.shared[kind]]
            noun = kind.removesuffix("s")
            self.refuse(f"the {noun} {key} was changed, and {' and '.join(users)} has it, too", users)
        return part

    def mounted(self, service: Service) -> str:
        """The fingerprint of what a service mounts; a file at a place of its own is not told of in another way."""
        told = [r.path for r in self.alone.node.stack.reloads if r.service == service.name]
        return mounted_mark(service, followed(self.files.marks), told)

    def secrets(self) -> dict[str, str]:
        kept = {name: mark for name, mark in self.before.secrets.items() if name not in self.alone.services}
        return {**kept, **{name: mark for name, mark in self.alone.secrets.items() if mark}}

    def secret_files(self, made: Mapping[str, Service]) -> dict[str, str]:
        if self.alone.memory is None:
            return {}
        keys = {key for service in self.kept.values() for key in service.sources}
        kept = {key: file for key, file in self.before.secret_files.items() if key in keys}
        found = {**kept, **secret_files(made, self.alone.memory)}
        if kept and delivered_in(kept) != str(self.alone.memory):
            self.refuse("secrets are delivered in another way now")
        return found

    def places(self, made: Mapping[str, Service]) -> tuple[Place, ...] | None:
        if self.before.places is None:
            return None
        kept = [place for place in self.before.places if place.service in self.kept]
        return (*kept, *(place for service in made.values() for place in service.secrets))

    def require_services(self) -> None:
        """That the chosen services depend on nothing that is not there.

        Raises:
            PreflightError: with the flags that take it along.
        """
        there = {*self.before.images, *self.alone.services}
        for name, service in self.alone.services.items():
            if lacking := sorted(needed_services(service) - there):
                self.refuse(f"{name} needs {' and '.join(lacking)}, which is not deployed yet", lacking)

    def require_secrets(self) -> None:
        """That no value changes which others have, too: under one name, a stack has one value.

        Raises:
            PreflightError: which that is, and who has it.
        """
        for name, text in self.alone.secrets.items():
            for secret, mark in read_marks(text).items():
                users = [
                    other
                    for other in self.kept
                    if read_marks(self.before.secrets.get(other, "")).get(secret, mark) != mark
                ]
                if users:
                    self.refuse(
                        f"{secret} of {name} was changed, and {' and '.join(users)} has it, too", users
                    )

    def refuse(self, what: str, more: Iterable[str] = ()) -> NoReturn:
        """Stops, and says how it can be had.

        Args:
            more: services with which it can be had.

        Raises:
            PreflightError: always.
        """
        raise refusal(self.alone.node, self.alone.services, what, more)


def refusal(node: Node, chosen: Iterable[str], what: str, more: Iterable[str] = ()) -> PreflightError:
    """Why some services cannot be deployed by themselves, and how it can be had.

    Args:
        more: services with which it can be had.
    """
    flags = " ".join(f"--service {name}" for name in sorted({*chosen, *more}))
    hint = f"deploy them together: {node.deploy_task} {flags}; or the whole stack, without --service"
    return PreflightError(what, node=node.name, hint=hint if more else _whole(node))


def _whole(node: Node) -> str:
    return f"deploy the whole stack, without --service: {node.deploy_task}"
