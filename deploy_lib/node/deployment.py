"""The story of one node: look, check, lock, look again, decide, stage, switch, prove, and record or go back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from deploy_lib import checks as preflight
from deploy_lib.checks import Check
from deploy_lib.compose.container import Container
from deploy_lib.config import Node
from deploy_lib.errors import DeployError, PreflightError, UsageError
from deploy_lib.host.change import history, watch
from deploy_lib.host.change.lock import Lock, me
from deploy_lib.host.change.prune import remove_old
from deploy_lib.host.change.stage import stage
from deploy_lib.host.change.targets import Scraper
from deploy_lib.host.look.facts import Facts, gather
from deploy_lib.host.look.machine import ask_storage
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.host.programs import apply
from deploy_lib.node import proof
from deploy_lib.node.dry_run import rehearse
from deploy_lib.output.console import Console
from deploy_lib.plan import decision as deciding
from deploy_lib.plan import desired as wanted
from deploy_lib.plan import replicas
from deploy_lib.plan import steps as orders
from deploy_lib.plan.decision import Case, Decision
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.preview import Preview
from deploy_lib.release.image import Image
from deploy_lib.release.release import Version
from deploy_lib.request import Request
from deploy_lib.secrets.value import Secret
from deploy_lib.source.checkout import Local
from deploy_lib.ssh.session import Session

Values = Mapping[str, Secret]


@dataclass
class Deployment:
    """One node on its way from one release to another; `fleet` calls the steps in their order.

    Attributes:
        outcome: "not started", "planned", "untouched" (it failed before the switch), "switched" (not yet proven),
            "deployed", "unchanged", "pruned", "reverted" (back on the release before, proven), or "failed" (neither).
        error: what went wrong on this node.
        scraper: the Prometheus that scrapes its containers, where there is one.
        preview: the plan in detail, for a dry run.
        checks: what the preflight found on this node, from `began` to `ended`.
        pruned: the old files and images that were removed on demand.
    """

    case: Case
    session: Session
    console: Console
    scraper: Scraper | None = None
    facts: Facts = field(default_factory=Facts)
    decision: Decision | None = None
    outcome: str = "not started"
    error: DeployError | None = None
    containers: Sequence[Container] = ()
    preview: Preview = field(default_factory=Preview)
    checks: list[Check] = field(default_factory=list)
    began: str = ""
    ended: str = ""
    pruned: list[str] = field(default_factory=list)
    _lock: Lock | None = None
    _watch: watch.Watch | None = None
    _began: float = field(default_factory=time.monotonic)

    # --- before anything is changed ---------------------------------------------------------------------

    def look(self, version: Version | None) -> None:
        """Gathers the facts; with a version, also what this checkout's Compose file comes to for it."""
        if version is None:
            self.facts = gather(self.session, self.case.stack, {}, {})
            return
        self.facts = gather(
            self.session,
            self.case.stack,
            self.local.files,
            self.case.variables(version, self.facts),
        )

    def look_again(self, version: Version | None) -> None:
        """The same, for what is decided from it.

        Raises:
            PreflightError: something of it could not be told, and what is not known is not to be taken for absent.
        """
        self.look(version)
        preflight.require(self.node, [preflight.answered(self.facts, rendered=version is not None)])

    def references(self) -> dict[str, Image]:
        """By service, the image that the Compose file names for this version."""
        return {name: service.image for name, service in self.facts.services.items()}

    def check_back(self) -> None:
        """The preflight of a rollback, which needs neither a registry nor this checkout's files.

        Raises:
            PreflightError: naming every check that failed.
        """
        preflight.require(self.node, preflight.host(self.node, self.facts, rendered=False))

    def check_deferred(self) -> None:
        """Looks again at what another stack of the same command had to bring first.

        Raises:
            PreflightError: it is still not there.
        """
        path = self.node.stack.shared_storage
        if path is not None and any(check.result == "deferred" for check in self.checks):
            found = ask_storage(self.session, path)
            preflight.require(self.node, preflight.storage(self.node, found, deferred=False))

    def changed_secrets(self, values: Values) -> list[str]:
        """The secrets of this stack that run here with other values than these."""
        return wanted.changed(self.facts, self.local.file, values)

    def judge_secrets(self, values: Values) -> Check:
        """Whether a deployment may give its containers these values."""
        return preflight.once_read(
            self.case.environment.apply, self.changed_secrets(values), recorded=self.before is not None
        )

    def check_secrets(self, values: Values) -> None:
        """Refuses secrets that would shut a program out of its own data, or its users; no flag skips this.

        Raises:
            PreflightError: which those are.
        """
        check = self.judge_secrets(values)
        preflight.require(self.node, [check])

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
        """Takes the node's lock, and waits for a switch that was left to itself."""
        what = f"{self.request.command} {self.request.tag or ''}".strip()
        self._lock = Lock(self.session, self.node.directory, me(what))
        self._lock.take(
            self.request.wait_lock,
            2 * int(self.node.stack.switch_timeout) + 60,
            lambda: self._say("lock", "waiting for a switch that was left to itself"),
        )

    def decide(self, version: Version, manifests: Mapping[Image, Manifest], values: Values) -> None:
        """Decides how to deploy a version.

        Raises:
            PreflightError: it cannot be done from where the host is.
        """
        self._recall_interruption()
        self.check_secrets(values)
        chosen = self.case.replicas(self.facts)
        if kept := replicas.kept(self.node, self.request.replicas, chosen):
            self._say("replicas", kept)
        key = self.facts.key or secrets.token_hex(32)
        self.decision = deciding.forward(self.case, self.facts, version, manifests, values, key)

    def decide_back(self, target: history.Event) -> None:
        """Decides how to bring an earlier release back.

        Raises:
            PreflightError: the host no longer has what it takes.
        """
        self._recall_interruption()
        self.decision = deciding.back(self.case, self.facts, target)

    def decide_rotation(self, values: Values, changed: Sequence[str]) -> None:
        """Decides how to give the release that runs other secret values.

        Args:
            changed: the secrets whose values are others.

        Raises:
            PreflightError: nothing is recorded here whose values could be changed.
        """
        self._recall_interruption()
        self.decision = deciding.rotation(self.case, self.facts, values, changed)

    def rehearse(self, login: Login | None) -> None:
        """For a dry run: what the decision would do to the host, in detail.

        Args:
            login: what images would be pulled with.
        """
        decision = self._decided()
        self.outcome = "planned"
        plan, self.preview = rehearse(self.session, self.case, decision, self.facts, login)
        self.decision = replace(decision, plan=plan)

    # --- the change ---------------------------------------------------------------------------------------

    def stage(self, login: Login | None) -> None:
        """Brings files and images to the host, beside what runs; the running release is not touched."""
        decision = self._decided()
        plan = decision.plan
        if plan.nothing:
            return
        self.outcome = "untouched"
        if plan.pulls:
            self._say("pull", f"{len(plan.pulls)} of {len(set(plan.desired.release.images.values()))} images")
        lacking = orders.staging(decision, self.facts, self.node.stack_name)
        stage(self.session, self.node.directory, lacking, login, decision.key)

    def switch(self, values: Values) -> None:
        """Puts the release into place and proves it; the switch then waits for `record`, `go_back` or `leave`.

        Args:
            values: the secrets; empty for a rollback, which keeps those that run.
        """
        decision = self._decided()
        plan = decision.plan
        if plan.nothing:
            self._confirm(plan)
            return
        given = {name: values[name] for name in self.local.file.secret_names if name in values}
        given |= apply.environment(decision.applies, values)
        env = {name: value.reveal() for name, value in given.items()}
        switch = orders.switch(
            decision,
            self.facts,
            self.case,
            token=self._token(),
            happens=lambda kind, detail: self._event(kind, detail=detail),
        )
        self._watch = watch.start(self.session, self.case.stack, switch, env, self._detail)
        self.outcome = "switched"
        self._say("switch", plan.subject)
        try:
            self._watch.finish()
        except watch.NotBegunError:
            self.outcome = "untouched"
            raise
        for step in decision.applies:
            self._say("apply", f"{step.service} takes the new {step.secret}, and refuses the old one")
        self.containers = proof.prove(
            self.session, self.node, plan.desired.release, self._watch.looks(), self._say, self._follow
        )

    def record(self) -> None:
        """Makes the proven release the one that counts, and prunes what no rollback could need."""
        plan = self._planned()
        if self._watch is None:
            return
        hashes = {c.service: c.config_hash for c in self.containers}
        proven = self._event("proven", hashes=hashes, before=plan.next_before)
        self._watch.conclude("proven", [proven])
        if not self._watch.await_end("proven"):
            raise watch.LostError("the host could not record the release, and goes back", node=self.node.name)
        self.outcome = "deployed"
        self._say("done", f"release {plan.desired.release.id} is proven")

    def go_back(self, reason: str) -> None:
        """Takes the host back to the release before, and proves that one.

        Args:
            reason: why, for the history.
        """
        plan = self._planned()
        if self._watch is None:
            return
        self.outcome = "failed"
        back = plan.back.release if plan.back else None
        self._say(
            "back", f"to {back.tag}, release {back.id}" if back else "to nothing: the stack is taken down"
        )
        try:
            self._watch.conclude("revert", [self._event("failed", detail=reason)])
        except watch.NotBegunError:
            self.outcome = "untouched"
            raise
        problem: DeployError | None = None
        try:
            self._watch.await_back(2 * self.node.stack.switch_timeout + 150)
            self.containers = (
                proof.prove(self.session, self.node, back, self._watch.looks(), self._say, self._follow)
                if back
                else next(self._watch.looks())
            )
            if back is None:
                self._follow(self.containers)
        except watch.LostError:
            raise
        except DeployError as error:
            problem = error
        detail = "" if problem is None else self.console.redactor.clean(problem.what)
        kind: history.Kind = "reverted" if problem is None else "failed"
        self._watch.conclude("leave", [self._event(kind, detail=detail or reason)])
        self._watch.await_end("revert")
        if problem is not None:
            raise problem
        self.outcome = "reverted"
        self._say("back", f"release {back.id} is proven again" if back else "the host is empty again")

    def leave(self, reason: str) -> None:
        """Leaves a release that failed in place, to be looked at."""
        if self._watch is None:
            return
        self.outcome = "failed"
        self.containers = next(self._watch.looks())
        self._watch.conclude("leave", [self._event("failed", detail=reason)])
        self._watch.await_end("leave")

    def abort(self, reason: str) -> None:
        """Writes down that this ended before the switch, as far as the host can still be told."""
        if self._planned().nothing:
            return
        try:
            happened = self._event("aborted", detail=reason)
            history.write(self.session, self.node.directory, self._token(), happened)
        except DeployError as error:
            self._detail(f"the history does not say so: {error}")

    def check_record(self) -> None:
        """Refuses to call anything old where something runs that no record knows.

        Raises:
            PreflightError: that is so here.
        """
        if self.facts.containers and not self._kept():
            raise PreflightError(
                "the stack runs here, and no record tells what it needs, so that nothing can be called old",
                node=self.node.name,
                step="prune",
                mend=f"deploy it first: invoke deploy-{self.node.stack_name}",
            )

    def prune(self) -> None:
        """Removes what neither the kept releases nor one that was left half way need; what runs is not touched.

        Raises:
            PruneError: not everything could be removed.
        """
        kept = self._kept()
        self.outcome = "untouched"
        try:
            remove_old(
                self.session, self.case.stack, [e.release for e in kept], self._token(), self.pruned.append
            )
        finally:
            self._say("prune", f"{len(self.pruned)} removed, {len(kept)} releases are kept")
            for what in self.pruned:
                self._detail(what)
        self.outcome = "pruned" if self.pruned else "unchanged"

    def _kept(self) -> list[history.Event]:
        past = self.facts.history
        half = history.unsettled(past)
        return [*history.kept(past, self.node.stack.keep_releases), *([half] if half else [])]

    def release_lock(self) -> None:
        """Gives the lock back, if it was taken; Ctrl-C does not keep it from that."""
        self.session.stop = None
        if self._lock is not None:
            self._lock.release()

    def close(self) -> None:
        """Ends the sessions."""
        self.session.close()
        if self.scraper is not None:
            self.scraper.session.close()

    # --- the outcome ----------------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """Where."""
        return self.case.node

    @property
    def local(self) -> Local:
        """What this checkout has of the node's stack."""
        return self.case.local

    @property
    def request(self) -> Request:
        """What was asked for."""
        return self.case.request

    @property
    def plan(self) -> Plan | None:
        """What is to change, once that is decided."""
        return self.decision.plan if self.decision else None

    @property
    def switched(self) -> bool:
        """Whether the host has been changed, and waits for a verdict."""
        return self.outcome == "switched"

    @property
    def before(self) -> history.Event | None:
        """The release that ran before this command, as far as it was recorded."""
        return history.proven(self.facts.history)

    @property
    def release_name(self) -> str | None:
        """The release that this node is being taken to, or the one that it stays at."""
        if self.plan is None:
            return None
        if self.plan.nothing and self.plan.before is not None:
            return self.plan.before.release.id
        return self.plan.desired.release.id

    # --- steps of steps ---------------------------------------------------------------------------------------

    def _decided(self) -> Decision:
        if self.decision is None:
            raise RuntimeError("a deployment is decided before it is carried out")
        return self.decision

    def _planned(self) -> Plan:
        return self._decided().plan

    def _confirm(self, plan: Plan) -> None:
        """Proves a host on which nothing had to be changed."""
        self.containers = self.facts.containers
        self.outcome = "untouched"
        self._follow(self.containers)
        proof.probe_all(self.session, self.node, plan.desired.release, lambda: self.containers, self._say)
        self.outcome = "unchanged"
        self._say("done", f"nothing to change: {plan.desired.release.tag} runs and is healthy")

    def _follow(self, containers: Sequence[Container]) -> None:
        """Lets Prometheus scrape these containers, and no others of this node."""
        if self.scraper is not None and self.scraper.follow(self.node, containers):
            self._say("targets", f"{len(containers)} for Prometheus")

    def _recall_interruption(self) -> None:
        started = history.interrupted(self.facts.history)
        if started is None:
            return
        # Without the lock, whoever has it may be who began it.
        going_on = self._lock is None and self.facts.machine.locked
        self._say(
            "lock" if going_on else "recover",
            f"release {started.release.id} ({started.release.tag}), begun by {started.who} on {started.origin} "
            f"at {started.at}, {'has not ended yet' if going_on else 'was interrupted'}",
        )

    def _token(self) -> str:
        if self._lock is None:
            raise RuntimeError("the lock is taken before the switch")
        return self._lock.owner.token

    def _event(self, kind: history.Kind, **more: object) -> history.Event:
        plan = self._planned()
        return history.event(
            kind,
            plan.desired.release,
            command=self.request.command,
            seconds=round(time.monotonic() - self._began, 1),
            replaced=plan.before.release.id if plan.before else None,
            **more,
        )

    def _say(self, step: str, text: str) -> None:
        self.console.step(self.node.name, step, text)

    def _detail(self, line: str) -> None:
        self.console.debug(self.node.name, line)
