"""The story of one node: look, check, lock, look again, plan, stage and pull, switch, prove, record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from deploy_lib import plan as planning
from deploy_lib import preflight
from deploy_lib.console import Console
from deploy_lib.errors import DeployError, ExitCode, PreflightError, UsageError
from deploy_lib.operations import compose, history, layout, probe, registry, switch
from deploy_lib.operations.compose import Container
from deploy_lib.operations.facts import Facts, gather
from deploy_lib.operations.files import collect
from deploy_lib.operations.health import Ailment, Gate
from deploy_lib.operations.lock import Lock, me
from deploy_lib.operations.registry import Login, Manifest
from deploy_lib.operations.shell import quote
from deploy_lib.plan import Plan
from deploy_lib.release import Version
from deploy_lib.request import Request
from deploy_lib.secrets.value import Secret
from deploy_lib.ssh.session import Session
from deploy_lib.topology import Environment, Node

LOG_LINES = 15
"""Last lines of a service's log that are shown when it fails."""


class DeploymentError(DeployError):
    """The switch or the proof failed; the message says what state the host is in."""

    exit_code = ExitCode.FAILED_INCONSISTENT


class NotSwitchedError(DeployError):
    """It failed before the switch: the host runs what it ran."""

    exit_code = ExitCode.FAILED_REVERTED


@dataclass(frozen=True)
class Local:
    """A stack as this checkout has it, read before any host is asked."""

    files: Mapping[str, bytes]
    file: compose.StackFile


def read_stack(environment: Environment, node: Node) -> Local:
    """The stack's files.

    Raises:
        UsageError: one is missing or broken, or a name in it is not as deploy.toml has it.
    """
    files = collect(environment.root, node.stack)
    path = node.stack.compose
    file = compose.read_stack_file(files[path.rpartition("/")[2]], path)
    undeclared = [name for name in file.secret_names if name not in environment.secrets]
    if undeclared:
        raise UsageError(
            f"{path} needs the secret {undeclared[0]}, which deploy.toml does not declare",
            mend=f"add [secrets.{undeclared[0]}] with its field",
        )
    return Local(files, file)


@dataclass
class Deployment:
    """One node on its way from one release to another; `fleet` calls the steps in their order.

    Attributes:
        outcome: "deployed", "unchanged", "planned", "failed", or "not started".
        switching: the switch has begun, and its release is not proven yet.
    """

    environment: Environment
    node: Node
    session: Session
    local: Local
    request: Request
    console: Console
    release_id: str
    facts: Facts = field(default_factory=Facts)
    plan: Plan | None = None
    outcome: str = "not started"
    switching: bool = False
    error: DeployError | None = None
    containers: Sequence[Container] = ()
    _lock: Lock | None = None
    _began: float = field(default_factory=time.monotonic)
    _key: str = field(default="", repr=False)

    # --- before anything is changed ---------------------------------------------------------------------

    def look(self, version: Version) -> None:
        """Gathers the facts."""
        self.facts = gather(
            self.session, self.node, self.local.file.project, self.local.files, self._variables(version)
        )

    def references(self) -> dict[str, str]:
        """By service, the image that the Compose file names for this version."""
        return {name: service.image for name, service in self.facts.services.items()}

    def recorded(self) -> dict[str, str]:
        """By reference, the digest that this node's proven release has for it."""
        before = history.proven(self.facts.history)
        pinned = before.release.images.values() if before else ()
        return dict(image.split("@", 1) for image in pinned)

    def check(self, manifests: Mapping[str, Manifest]) -> None:
        """The preflight.

        Raises:
            PreflightError: naming every check that failed.
            UsageError: the stack has no such service.
        """
        checks = [*preflight.host(self.node, self.facts)]
        wanted = self._wanted()
        own = [manifests[image] for image in sorted(set(wanted.values())) if image in manifests]
        preflight.require(self.node, [*checks, *preflight.images(self.facts, own, self.recorded())])

    def check_service(self) -> None:
        """Refuses a service that the stack does not have.

        Raises:
            UsageError: with the names of those that it has.
        """
        known = self.local.file.secrets
        if self.request.service is not None and self.request.service not in known:
            raise UsageError(
                f"the stack {self.node.stack_name} has no service {self.request.service!r}; it has {', '.join(sorted(known))}"
            )

    def lock(self) -> None:
        """Takes the node's lock."""
        what = f"{self.request.command} {self.request.tag or ''}".strip()
        self._lock = Lock(self.session, self.node.directory, me(what))
        limit = int(self.node.stack.switch_timeout) + 30
        self._lock.take(
            self.request.wait_lock,
            limit,
            lambda: self._say("lock", "waiting for a switch that was left to itself"),
        )

    def decide(
        self, version: Version, manifests: Mapping[str, Manifest], values: Mapping[str, Secret]
    ) -> Plan:
        """Makes the plan from the facts."""
        images = {name: self._pin(image, manifests) for name, image in self._wanted().items()}
        key = self.facts.key or self._key or secrets.token_hex(32)
        self._key = key
        marks = planning.fingerprints(self.local.file, values, key)
        service = self.request.service
        if service is None:
            desired = planning.desire(
                release_id=self.release_id,
                version=version,
                files=self.local.files,
                images=images,
                secrets=marks,
                variables=self._variables(version),
            )
        else:
            desired = planning.replace_one(
                release_id=self.release_id,
                version=version,
                before=history.proven(self.facts.history),
                facts=self.facts,
                service=service,
                image=images[service],
                secret=marks.get(service, ""),
                node=self.node.name,
            )
        self.plan = planning.make(self.node, self.facts, desired)
        return self.plan

    # --- the change ---------------------------------------------------------------------------------------

    def stage(self, plan: Plan, login: Login) -> None:
        """Brings files and images to the host, beside what runs.

        Raises:
            NotSwitchedError: it failed; what runs was not touched.
        """
        files = {path: plan.desired.files[path] for path in plan.changed if path in plan.desired.files}
        if plan.pulls:
            self._say("pull", f"{len(plan.pulls)} of {len(set(plan.desired.release.images.values()))} images")
        try:
            registry.stage(
                self.session,
                self.node.directory,
                plan.desired.release.id,
                files,
                plan.pulls,
                login,
                self._key,
            )
        except DeployError as error:
            raise NotSwitchedError(
                f"{error.what}\n  what ran before still runs",
                node=self.node.name,
                step=error.step,
                mend=error.mend,
            ) from None

    def switch(self, plan: Plan, values: Mapping[str, Secret], version: Version) -> None:
        """Puts the release into place and proves it.

        Raises:
            DeploymentError: naming what failed, with the last lines of its log.
        """
        assert self._lock is not None  # noqa: S101 - `fleet` takes the lock first
        release = plan.desired.release
        orders = switch.Switch(
            token=self._lock.owner.token,
            staged=self.node.directory / layout.RELEASES / release.id / "files",
            changed=plan.changed,
            dropped=plan.dropped,
            reloads=plan.reloads,
            started=history.event("started", release, before=plan.before.release.id if plan.before else None),
        )
        env = {
            **self._variables(version),
            **{name: values[name].reveal() for name in self.local.file.secret_names},
        }
        changing = [change.service for change in plan.changes if change.action != "keep"]
        self.switching = True
        self._say("switch", ", ".join(changing) or "configuration only")
        try:
            with switch.start(
                self.session, self.node, self.local.file.project, orders, env, self._detail
            ) as watch:
                watch.finish()
                looks = watch.looks()
                self._await_health(looks, release.images)
                self._probe()
                self.containers = next(looks, self.containers)
        except switch.SwitchError as error:
            if error.code in (switch.LAPSED, switch.BUSY):
                self.switching = False
                raise NotSwitchedError(error.what, node=self.node.name, step="switch") from None
            self._record(history.event("failed", release, detail=self.console.redactor.clean(error.what)))
            raise self._failed(error) from None
        except DeployError as error:
            self._record(history.event("failed", release, detail=self.console.redactor.clean(error.what)))
            raise self._failed(error) from None

    def record(self, plan: Plan) -> None:
        """Writes the proven release down."""
        hashes = {c.service: c.config_hash for c in self.containers}
        before = plan.before.release.id if plan.before else None
        proven = history.event(
            "proven",
            plan.desired.release,
            hashes=hashes,
            before=before,
            seconds=round(time.monotonic() - self._began, 1),
        )
        self._record(proven)
        self.outcome, self.switching = "deployed", False
        self._say("done", f"release {plan.desired.release.id} is proven")

    def confirm(self) -> None:
        """Proves a host on which nothing had to be changed.

        Raises:
            DeploymentError: a probe fails although every container is as recorded.
        """
        self.containers = self.facts.containers
        try:
            self._probe()
        except DeployError as error:
            raise self._failed(error) from None
        self.outcome = "unchanged"
        self._say("done", "nothing to change")

    def interrupted(self) -> DeploymentError | None:
        """What to say of a node whose switch nobody waited for; None where nothing had been changed."""
        if not self.switching:
            return None
        self.outcome = "failed"
        return DeploymentError(
            "interrupted during the switch, which goes on to its end on the host; the release is not proven",
            node=self.node.name,
            step="switch",
            mend="run the same command again: it proves what runs then, and changes only what is left",
        )

    def release_lock(self) -> None:
        """Gives the lock back, if it was taken."""
        if self._lock is not None:
            self._lock.release()

    # --- the outcome ----------------------------------------------------------------------------------------

    @property
    def release_name(self) -> str | None:
        """The release that this node is being taken to, or the one that it stays at."""
        if self.plan is None:
            return None
        if self.plan.nothing and self.plan.before is not None:
            return self.plan.before.release.id
        return self.plan.desired.release.id

    def as_dict(self) -> dict[str, Any]:
        """This node's part of the JSON document."""
        before = history.proven(self.facts.history)
        running = self.containers or self.facts.containers
        data: dict[str, Any] = {
            "outcome": self.outcome,
            "from": before.release.tag if before else None,
            "to": self.plan.desired.release.tag if self.plan else None,
            "services": {
                c.service: {"image": c.image, "state": c.state, "health": c.health, "container": c.id}
                for c in running
            },
            "error": str(self.error) if self.error else None,
        }
        if self.plan is not None and self.request.dry_run:
            data["plan"] = describe(self.plan)
        return data

    # --- steps of steps ---------------------------------------------------------------------------------------

    def _variables(self, version: Version) -> dict[str, str]:
        return {
            **self.node.variables,
            "IMAGE_REGISTRY": self.environment.image_registry,
            "IMAGE_TAG": version.tag,
        }

    def _wanted(self) -> dict[str, str]:
        references = self.references()
        if self.request.service is None:
            return references
        return {self.request.service: references[self.request.service]} if references else {}

    def _pin(self, reference: str, manifests: Mapping[str, Manifest]) -> str:
        if reference in manifests and manifests[reference].digest:
            return manifests[reference].pinned
        recorded = self.recorded()
        if reference not in recorded:
            raise PreflightError(f"no digest is known for {reference}", node=self.node.name, step="preflight")
        return f"{reference}@{recorded[reference]}"

    def _await_health(self, looks: Any, images: Mapping[str, str]) -> None:
        gate = Gate(self.facts.services, images)
        began = time.monotonic()
        ailing: list[Ailment] = []
        for containers in looks:
            self.containers = containers
            ailing = gate.look(containers)
            if not ailing:
                self._say("healthy", f"{len(containers)} containers")
                return
            late = time.monotonic() - began > self.node.stack.healthy_timeout
            if late or any(ailment.final for ailment in ailing):
                break
        worst = sorted(ailing, key=lambda a: not a.final)[0] if ailing else None
        if worst is None:
            raise DeployError("the session ended while the containers were watched")
        raise DeployError(
            f"{worst.service} is not healthy: {worst.problem}{self._log(worst.container)}", step="health"
        )

    def _probe(self) -> None:
        failed = []
        for finding in probe.prove(self.session, self.node.stack.probes):
            if finding.ok:
                self._say("probe", f"{finding.probe.name} ({finding.seconds:.1f} s)")
            else:
                failed.append(finding)
        if failed:
            first = failed[0]
            container = next((c.id for c in self.containers if c.service == first.probe.service), "")
            problems = "".join(f"\n  {f.probe.name}: {f.problem}" for f in failed)
            raise DeployError(
                f"{len(failed)} of {len(self.node.stack.probes)} probes failed{problems}{self._log(container)}",
                step="probe",
            )

    def _log(self, container: str) -> str:
        if not container:
            return ""
        result = self.session.run(
            f"docker logs --tail {LOG_LINES} {quote(container)} 2>&1", check=False, timeout=20, step="log"
        )
        lines = "".join(f"\n    | {line}" for line in result.stdout.splitlines())
        return f"\n  its last log lines:{lines}" if lines else ""

    def _record(self, happened: history.Event) -> None:
        self.session.run(history.append_command(self.node.directory, happened), step="record")

    def _failed(self, error: DeployError) -> DeploymentError:
        self.outcome = "failed"
        before = history.proven(self.facts.history)
        back = f"deploy {before.release.tag} again, or " if before else ""
        return DeploymentError(
            error.what,
            node=self.node.name,
            step=error.step,
            mend=f"{back}mend the cause and run this command again",
        )

    def _say(self, step: str, text: str) -> None:
        self.console.step(self.node.name, step, text)

    def _detail(self, line: str) -> None:
        self.console.debug(self.node.name, line)


def describe(plan: Plan) -> dict[str, Any]:
    """A plan for JSON."""
    return {
        "services": {
            c.service: {k: v for k, v in replace(c).__dict__.items() if k != "service"} for c in plan.changes
        },
        "files": list(plan.changed),
        "removed": list(plan.dropped),
        "pulls": list(plan.pulls),
        "reloads": [r.service for r in plan.reloads],
        "nothing": plan.nothing,
    }
