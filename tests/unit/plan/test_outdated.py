"""Which secrets a backup may bring back with an earlier value."""

import pytest

from deploy_lib.host.change.history import event
from deploy_lib.host.look.facts import Facts
from deploy_lib.host.programs.postgres import PostgresRole
from deploy_lib.plan.outdated import outdated
from deploy_lib.plan.steps import new_order
from deploy_lib.release.release import Release
from deploy_lib.values import replace
from tests.unit import build
from tests.unit.node.test_restoring import ENTRY

ROLE = PostgresRole(kind="postgres-role", secret="PW", role="ROLE", service="db")
BEFORE = Release("r1", "1", None, {}, {}, secrets={"db": "PW=one KEY=one"})
NOW = replace(BEFORE, id="r2", secrets={"db": "PW=two KEY=two"})


@pytest.mark.parametrize(
    ("known", "made", "said"),
    [
        ((BEFORE, NOW), BEFORE, "PW: changed since"),
        ((BEFORE, NOW), NOW, ""),
        # Too long ago for what the host tells of its history.
        ((NOW,), BEFORE, "PW: changed since"),
        ((BEFORE, replace(NOW, secrets={"db": "PW=one KEY=two"})), BEFORE, ""),
    ],
)
def test_what_was_rotated_since_a_backup_is_named(
    known: tuple[Release, ...], made: Release, said: str
) -> None:
    facts = Facts(history=tuple(event("proven", each) for each in known))
    file = new_order(build.stack(), ENTRY, made, why="a test").file
    found = outdated(build.node(apply=(ROLE,)), facts, known[-1], file)
    assert found.startswith(said)
    assert bool(found) == bool(said)
