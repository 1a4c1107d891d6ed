"""Fleet tasks: `invoke --list` shows them. Those that deploy are made from deploy.toml; these are KTRDR's and the lab's."""

from __future__ import annotations

from pathlib import Path

from invoke.context import Context
from invoke.tasks import task

from deploy_lib import collection
from lab import lab_collection
from lab.dev.tasks import dev_collection
from lab.pipeline_tasks import pipeline_tasks
from lab.work_tasks import work_tasks

ROOT = Path(__file__).resolve().parent


@task(
    auto_shortflags=False,
    help={"tag": "the image tag; otherwise that of the checkout's commit", "push": "push it, too"},
)
def build_backend(c: Context, tag: str | None = None, push: bool = False) -> None:
    """Build the backend image, and push it to the environment's registry."""
    from lab.backend import build_image

    build_image(ROOT, tag=tag, push=push)


@task(auto_shortflags=False)
def demo(c: Context) -> None:
    """Start the lab, build the image, and deploy the stacks to it."""
    from lab.demo import run

    run(ROOT)


ns = collection(ROOT)
for own in (build_backend, demo, *work_tasks(ROOT), *pipeline_tasks(ROOT)):
    ns.add_task(own)
ns.add_collection(lab_collection(ROOT), "lab")
ns.add_collection(dev_collection(ROOT), "dev")
