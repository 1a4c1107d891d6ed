"""What the registries are asked before a deployment, and by way of which host; a part of the survey."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, field

from deploy_lib.checks.check import Check
from deploy_lib.checks.images import check_images, check_local, check_login, check_newer, is_missing
from deploy_lib.compose.asks import asks_of
from deploy_lib.compose.service import Service
from deploy_lib.config import Environment, Versions
from deploy_lib.errors import DeployError, told
from deploy_lib.fleet.parallel import side_by_side
from deploy_lib.host.look import host_login, registry
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest, login_for
from deploy_lib.node.deployment import Deployment
from deploy_lib.release.image import Image
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.source.versions import in_version
from deploy_lib.ssh.session import Session


class Registries(Struct, frozen=True):
    """What the registries say.

    Attributes:
        version: the one that is deployed; None when none of those that may be meant has images.
        manifests: by node and service, what a service gets that takes what the registries say. Of several nodes' answers for a
            reference the first one with a digest counts, so that all of them get the same.
        checks: what does not concern a single node.
        nodes: by node, the checks that were made from there.
    """

    version: Version | None
    manifests: Mapping[str, Mapping[str, Manifest]] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    nodes: Mapping[str, Sequence[Check]] = field(default_factory=dict)


class Asker(NamedTuple):
    """A node that asks registries, with what is known of it."""

    deployment: Deployment
    facts: Facts


class Question(Struct, frozen=True):
    """What is to be found out.

    Attributes:
        place: REGISTRY/OWNER of the project's own images; "" for none.
        policy: what a commit's image tag looks like.
        fleet: what was found on all hosts that are asked for.
        allow_dirty: a commit's tag may mean what was not committed.
        wanted: the versions that may be meant, best first.
        rendered: the version that the facts were rendered for; None: for the first of those.
    """

    place: str
    policy: Versions
    wanted: Sequence[Version]
    request: Request
    logins: Sequence[Login]
    fleet: Sequence[Facts] = ()
    allow_dirty: bool = False
    rendered: Version | None = None

    def asked(self, facts: Facts, version: Version) -> dict[str, Image]:
        """By service, the images that a deployment must ask for: those of no record, the project's own whose tag may move, and what
        is to be refreshed.
        """
        chosen = self.request.services or facts.services
        services = [
            s
            for s in facts.services.values()
            if s.name in chosen and s.image.repository and not asks_of(s).local
        ]
        return {s.name: self._image(s, version) for s in services if self._is_asked(facts, s, version)}

    def needed(self, facts: Facts, version: Version) -> list[Image]:
        """The same, each once."""
        return sorted({*self.asked(facts, version).values()})

    def own(self, facts: Facts, version: Version) -> list[Image]:
        """Those whose tag is the version's."""
        return [i for i in self.needed(facts, version) if i.below(self.place) and i.tag == version.tag]

    def staying(self, facts: Facts, version: Version) -> dict[str, Image]:
        """By service, the images that stay as they are recorded, whatever their tag means now: other people's, and own ones whose
        tag is not to move.
        """
        asked = self.asked(facts, version)
        images = {s.name: self._image(s, version) for s in facts.services.values() if not asks_of(s).local}
        return {
            name: image
            for name, image in images.items()
            if not image.digest
            and facts.recorded_digest(name, image)
            and (name not in asked or (image.below(self.place) and self.never_moves(image)))
        }

    def _image(self, service: Service, version: Version) -> Image:
        if not service.image.below(self.place):
            return service.image
        return in_version(service.image, self.rendered or self.wanted[0], version)

    def _is_asked(self, facts: Facts, service: Service, version: Version) -> bool:
        image = self._image(service, version)
        if image.digest:
            return not facts.has(image)
        refreshed = self.request.refresh in ("", service.name) or asks_of(service).newest
        moving = image.below(self.place) and not self._settled(image, version)
        return moving or refreshed or not facts.recorded_digest(service.name, image)

    def never_moves(self, image: Image) -> bool:
        """Whether the tag of one of the project's own images is the same one for ever, as a commit's is."""
        built_dirty = self.allow_dirty and self.policy.digits_of(image.tag) is not None
        return self.policy.never_moves(image.repository.rpartition("/")[2], image.tag) and not built_dirty

    def _settled(self, image: Image, version: Version) -> bool:
        """Whether the hosts have all that the registry could tell.

        All hosts that use it have recorded the same digest: one release has one. Preflight asks all the same, since it proves the
        login.
        """
        if self.request.command == "preflight" or not self.never_moves(image):
            return False
        recorded = [
            (facts, facts.recorded_digest(s.name, image))
            for facts in self.fleet
            for s in facts.services.values()
            if self._image(s, version) == image
        ]
        there = all(digest and facts.has(image.with_digest(digest)) for facts, digest in recorded)
        return there and len({digest for _, digest in recorded}) == 1


def ask_registries(environment: Environment, askers: Sequence[Asker], question: Question) -> Registries:
    """Chooses the version, and asks for every image through every node: each has to reach the registry itself."""
    version = choose_version(askers, question)
    if version is None:
        return Registries(None, checks=(_none(environment, question),))

    def ask(asker: Asker) -> _Answer:
        facts, session = asker.facts, asker.deployment.session
        asked = question.asked(facts, version)
        try:
            with told(asker.deployment.node.name):
                manifests = resolve(session, sorted({*asked.values()}), question.logins)
        except DeployError as error:
            hint = error.hint or "run the same command again"
            failed = Check("registries", "the host can ask them", "failed", problem=error.what, hint=hint)
            return _Answer(asked, {}, {}, failed)
        return _Answer(asked, manifests, _newer(session, facts, version, question, manifests))

    answers = side_by_side(askers, ask, question.request.parallel)
    said = [manifest for answer in answers for manifest in answer.manifests.values()]
    taken = {m.reference: m for m in sorted(reversed(said), key=lambda m: bool(m.digest))}
    both = [(asker, answer) for asker, answer in zip(askers, answers, strict=True)]
    return Registries(
        version,
        manifests={
            asker.deployment.node.name: {
                name: taken[image] for name, image in answer.asked.items() if image in taken
            }
            for asker, answer in both
        },
        nodes={
            asker.deployment.node.name: list(_judge(asker, answer, question, taken)) for asker, answer in both
        },
    )


class _Answer(NamedTuple):
    """What a node has asked for, by service, and what it was told, by reference; of what stays, by service, what it is now."""

    asked: Mapping[str, Image]
    manifests: Mapping[Image, Manifest]
    newer: Mapping[str, Manifest]
    failed: Check | None = None


def _judge(
    asker: Asker, answer: _Answer, question: Question, taken: Mapping[Image, Manifest]
) -> Iterator[Check]:
    """The checks of one node.

    Args:
        taken: by reference, what counts for all nodes.
    """
    if answer.failed is not None:
        yield answer.failed
        return
    facts, logins, said = asker.facts, question.logins, answer.manifests
    for login in logins:
        yield check_login(login, said.values(), only=len(logins) == 1)
    asked = {name: said[image] for name, image in answer.asked.items()}
    yield from check_images(facts, asked, logins, question.place, taken)
    yield from check_local(facts)
    yield from check_newer(facts, answer.newer, f"{asker.deployment.node.deploy_task} --refresh")


def choose_version(askers: Sequence[Asker], question: Question) -> Version | None:
    """The first of the versions whose images exist for all nodes; a single one is taken unchecked."""
    wanted = question.wanted
    if len(wanted) == 1:
        return wanted[0]
    first = askers[0]
    for version in wanted:
        names = sorted({image for asker in askers for image in question.own(asker.facts, version)})
        try:
            with told():
                manifests = resolve(first.deployment.session, names, question.logins)
        except DeployError:
            return version  # whoever asks for its images next says why there is no answer
        # A registry that refuses or fails says nothing about which images there are.
        if not any(is_missing(manifest) for manifest in manifests.values()):
            return version
    return None


def resolve(session: Session, references: Sequence[Image], logins: Sequence[Login]) -> dict[Image, Manifest]:
    """Asks through the host's engine; where that is refused and no login is ours, with the host's own logins.

    Raises:
        RemoteError: the host does not answer.
    """
    found = registry.resolve(session, references, logins)
    refused = [
        i for i, m in found.items() if m.fault in ("refused", "limit") and login_for(logins, i) is None
    ]
    again = host_login.ask_with_host_login(session, refused)
    # The engine's own words are those that people know.
    return found | {i: m for i, m in again.items() if m.digest}


def _none(environment: Environment, question: Question) -> Check:
    wanted, where = question.wanted, environment.registry_host
    tags = f"{wanted[0].tag} to {wanted[-1].tag}"
    problem = f"none of the newest {len(wanted)} commits ({tags}) has an image in {where}"
    if question.request.tag is not None:
        problem = f"neither {wanted[0].tag} nor {wanted[-1].tag} has an image in {where}"
    hint = "has CI built and pushed one? Name another version with --tag"
    return Check("version", "a commit has an image", "failed", problem=problem, hint=hint)


def _newer(
    session: Session,
    facts: Facts,
    version: Version,
    question: Question,
    answers: Mapping[Image, Manifest],
) -> Mapping[str, Manifest]:
    """By service, what the registries have for tags that stay as they are recorded.

    That is for those who look: it must neither delay a deployment nor fail it.

    Args:
        answers: what they have said already.
    """
    if question.request.command != "preflight":
        return {}
    staying, known = question.staying(facts, version), dict(answers)
    with contextlib.suppress(DeployError):
        known |= resolve(session, sorted({*staying.values()} - {*answers}), question.logins)
    return {name: known[image] for name, image in staying.items() if image in known}
