"""What is looked at on one node, and checked there before anything is decided.

What another stack of the same command has to be there for is checked again later, right before the switch.
"""

from __future__ import annotations

from collections.abc import Collection

from deploy_lib import layout
from deploy_lib.checks import (
    check_answered,
    check_ownership,
    check_plain_sight,
    check_storage,
    require_passed,
)
from deploy_lib.errors import PreflightError, UsageError
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.look.machine import ask_storage
from deploy_lib.names import did_you_mean
from deploy_lib.node.preflight import (
    Values,
    judge_host,
    judge_secrets,
    judge_sessions,
    judge_way,
    look,
    look_at_places,
    needed_values,
)
from deploy_lib.node.visit import Visit
from deploy_lib.output.timings import phase
from deploy_lib.release.release import Version
from deploy_lib.ssh.framing import require_room


class Checking(Visit):
    """A visit that looks at its node, and refuses what cannot be done there."""

    _deferred: bool = False

    def begin(self, facts: Facts, *, deferred: bool = False) -> None:
        """Goes on from what the survey found.

        Args:
            deferred: a check is repeated before the switch.
        """
        self.facts = facts
        self._deferred = deferred

    def look(self) -> None:
        """Gathers the facts, without rendering this checkout's Compose file."""
        self.facts = look(self.session, self.job)

    @phase("looking again")
    def refresh_facts(self, version: Version | None) -> None:
        """Gathers the facts that decisions are made from; with a version, renders the Compose file for it, too.

        Raises:
            PreflightError: some facts are missing, and unknown must not be treated as "not there"; or others can change the
                stack's files, which no flag skips.
        """
        self.facts = look(self.session, self.job, version, self.facts, weigh=True)
        answered = check_answered(self.node, self.facts, rendered=version is not None)
        require_passed(self.node, [answered, check_ownership(self.facts)])
        self.facts = look_at_places(self.session, self.job, self.facts)

    @phase("preflight")
    def check_back(self, stacks: Collection[str]) -> None:
        """The preflight of a rollback or a rotation, which needs neither a registry nor this checkout's files.

        It checks all that a proof needs: a release that cannot be proven would only be switched to and taken back.

        Args:
            stacks: see `judge_host`.

        Raises:
            PreflightError: naming every check that failed.
        """
        found = [
            *judge_way(self.session, self.node, self.facts),
            *judge_host(self.node, self.facts, stacks, rendered=False),
        ]
        self._deferred = any(check.result == "deferred" for check in found)
        require_passed(self.node, found)

    def check_sessions(self) -> None:
        """Whether all that a switch does at once goes through the session: otherwise it would fail half way, so no flag skips this.

        Raises:
            PreflightError: sshd opens too few.
        """
        require_passed(self.node, [judge_sessions(self.session)])

    def check_deferred(self) -> None:
        """Repeats the checks that needed another stack of the same command.

        Raises:
            PreflightError: one still fails.
        """
        path = self.node.stack.shared_storage
        if path is not None and self._deferred:
            found = ask_storage(self.session, path)
            require_passed(self.node, check_storage(self.node, found, deferred=False))

    def changed_secrets(self, values: Values) -> list[str]:
        """The secrets of this stack whose running values differ from these.

        Raises:
            PreflightError: nothing can tell.
        """
        if self.facts.incomparable:
            raise PreflightError(
                f"{self.node.directory / layout.KEY} is gone, so nothing can tell which values were changed",
                node=self.node.name,
                step="rotation",
                hint="put it back from a backup of the host, with mode 600; or set back what was changed at its source, deploy, and "
                "change it then",
            )
        return self.facts.changed(needed_values(self.facts, values))

    @property
    def running_secrets(self) -> list[str]:
        """The names of the secrets that the recorded release has."""
        return sorted(self.before.release.marks) if self.before else []

    def check_secrets(self, values: Values) -> None:
        """Refuses secrets with which a program could no longer open its data, or its users no longer log in, and those that would
        be deployed as an empty text; no flag skips this.

        Raises:
            PreflightError: which those are.
        """
        found = [judge_secrets(self.job, self.facts, values), *check_plain_sight(self.facts.services)]
        require_passed(self.node, found)

    def check_room(self, values: Values, names: Collection[str]) -> None:
        """Refuses values that are too large for a program's environment.

        Args:
            names: of those that this node's stack needs.

        Raises:
            UsageError: with their names and sizes.
        """
        given = {name: values[name].reveal() for name in names if name in values}
        require_room({**self.node.variables, **given})

    def check_service(self, known: Collection[str]) -> None:
        """Refuses a service that the stack does not have.

        Args:
            known: those that it has.

        Raises:
            UsageError: with the names of the known ones.
        """
        for service in self.request.services:
            if service not in known:
                raise UsageError(
                    f"the stack {self.node.stack_name} has no service {service!r}; it has {', '.join(sorted(known))}",
                    hint=did_you_mean(service, known),
                )
