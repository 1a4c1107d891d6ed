"""Fleet tasks: `invoke --list` shows them. Hosts come from deploy.toml."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task


@task(auto_shortflags=False)
def lint(c: Context) -> None:
    """Check style and types."""
    c.run("ruff check . && ruff format --check . && mypy")


@task(auto_shortflags=False)
def test(c: Context) -> None:
    """Run every check: style, types and all test tiers."""
    lint(c)
    c.run("pytest tests")


ns = Collection(lint, test)
