"""What a command decides to do on one node, from what it found there; nothing is changed yet."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from msgspec import field

from deploy_lib.checks import check_places, require_passed
from deploy_lib.compose.service import Service
from deploy_lib.errors import PreflightError
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.registry import Login, Manifest
from deploy_lib.node import guard
from deploy_lib.node.adoption import look_at_adopted
from deploy_lib.node.checking import Checking
from deploy_lib.node.dry_run import rehearse
from deploy_lib.node.outcome import Outcome
from deploy_lib.node.preflight import Values
from deploy_lib.output.timings import phase
from deploy_lib.plan import replicas
from deploy_lib.plan.chosen import decide_services
from deploy_lib.plan.decide import decide_rollback, decide_rotation, decide_version
from deploy_lib.plan.decision import Decision
from deploy_lib.plan.drift import restore_problem
from deploy_lib.plan.plan import Plan
from deploy_lib.plan.preview import Preview
from deploy_lib.release.history import Event
from deploy_lib.release.release import Version
from deploy_lib.values import replace


class Deciding(Checking):
    """A visit that decides what becomes of its node.

    Attributes:
        decision: what is to be done, once that is decided.
    """

    decision: Decision | None = None
    _services: Mapping[str, Service] | None = None
    _kept: tuple[object, Mapping[str, Service] | None] | None = None
    _guarded: guard.Guarded = field(default_factory=lambda: guard.Guarded(()))

    def decide(self, version: Version, manifests: Mapping[str, Manifest], values: Values) -> None:
        """Decides how to deploy a version.

        Args:
            manifests: see `decide_version`.

        Raises:
            PreflightError: it cannot be done from the host's present state.
        """
        self._recall_interruption()
        self.check_secrets(values)
        self.facts = look_at_adopted(self.site, self.facts, version, values)
        chosen = self.job.replicas(self.facts)
        if kept := replicas.kept(self.node, self.request.replicas, chosen):
            self.site.say("replicas", kept)
        key = self.facts.key or secrets.token_hex(32)
        facts, only = self.facts, self.request.services
        decided = decide_services if only else decide_version
        decision = decided(self.job, facts, version, manifests, values, key)
        # Those that stay are as they lie there.
        staying = {name: each for name, each in (facts.deployed or {}).items() if only and name not in only}
        wanted = {name: each for name, each in facts.services.items() if not only or name in only}
        self.decision = self._possible(decision, {**staying, **wanted})

    def settle(self, version: Version, manifests: Mapping[str, Manifest], values: Values) -> bool:
        """Whether the host is what was asked for already, by the facts so far: then nothing is to be changed, nor to be locked.

        Args:
            version: the one that the facts were rendered for.
        """
        facts = self.facts
        unsure = facts.interrupted is not None or bool(restore_problem(facts)) or facts.machine.locked
        other = self.job.variables(version, facts) != self.job.variables(version, Facts())
        # Of some services it takes a look at what lies there beside them; and a scraper is told of what runs under the lock alone.
        more = bool(self.request.services) or self.site.scraper is not None
        if facts.proven is None or not facts.knows_places or unsure or other or more:
            return False
        try:
            decision = decide_version(self.job, facts, version, manifests, values, facts.key)
        except PreflightError:
            # It is raised once more, where the host is looked at under the lock.
            return False
        self.decision = decision if decision.plan.nothing else None
        return decision.plan.nothing

    def decide_back(self, target: Event) -> None:
        """Decides how to bring an earlier release back.

        Raises:
            PreflightError: the host no longer has the files or images.
        """
        self._recall_interruption()
        decision = decide_rollback(self.job, self.facts, target)
        kept = self._kept_services(decision.plan)
        self.decision = self._possible(decision, kept)
        self._tell_accepted()

    def decide_rotation(self, values: Values, changed: Sequence[str]) -> None:
        """Decides how to give the running release new secret values.

        Args:
            changed: the names of the changed secrets.

        Raises:
            PreflightError: no release is recorded here.
        """
        self._recall_interruption()
        self.decision = self._possible(decide_rotation(self.job, self.facts, values, changed), None)
        self._tell_accepted()

    @phase("rehearsal")
    def rehearse(self, logins: Sequence[Login]) -> Preview:
        """For a dry run: what the decision would do to the host, in detail.

        Args:
            logins: what images would be pulled with.
        """
        decision = self._decided()
        plan, preview = rehearse(self.session, self.job, decision, self.facts, logins)
        self.decision = replace(decision, plan=plan)
        self.outcome = Outcome.PLANNED
        return preview

    @property
    def plan(self) -> Plan | None:
        """What is to change, once that is decided."""
        return self.decision.plan if self.decision else None

    # --- steps of steps ---------------------------------------------------------------------------------------

    def _kept_services(self, plan: Plan) -> Mapping[str, Service] | None:
        """See `guard.kept_services`. Under the lock, the rendering of before counts: kept files are named by their content."""
        release = plan.desired.release
        what = release.files, self.site.stack.project_of(release), self.site.stack.inputs_of(release)
        known = self._kept[1] if self._kept is not None and self._kept[0] == what else None
        found = guard.kept_services(self.site, plan, self.facts, known)
        self._kept = what, found
        return found

    def _possible(self, decision: Decision, services: Mapping[str, Service] | None) -> Decision:
        """The decision itself, unless its files cannot be put into their places, or data would be lost; no flag skips this.

        Args:
            services: see `guard.guard`.
        """
        wanted = {path: decision.plan.desired.release.files[path] for path in decision.plan.changed}
        require_passed(self.node, [check_places(self.node, wanted, self.facts)])
        self._services = services
        self._guard(decision.plan, services)
        return decision

    def _guard(self, plan: Plan, services: Mapping[str, Service] | None, *, pulled: bool = False) -> None:
        self._guarded = guard.guard(self.session, self.job, plan, self.facts, services, pulled=pulled)
        require_passed(self.node, self._guarded.checks)

    def _tell_accepted(self) -> None:
        """What may be lost, or will be one day; a deployment's preflight has said so already."""
        for check in self._guarded.checks if self._lock is not None else ():
            if check.result == "warning":
                self.site.say("data", f"warning: {check.problem}\n  -> {check.hint}")

    def _decided(self) -> Decision:
        if self.decision is None:
            raise RuntimeError("a deployment is decided before it is carried out")
        return self.decision

    def _planned(self) -> Plan:
        return self._decided().plan
