"""A small project of two made-up stacks, for tests that are not about KTRDR's: as files, as text, and as an environment.

The shop (a web server and a database) runs on one host; jobs run on another one, and at night also on the shop's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy_lib.config import Environment, Node, load

DEPLOY = """\
default_environment = "house"

[secrets.DB_PASSWORD]
field = "database"
min_length = 8

[secrets.REGISTRY_TOKEN]
field = "registry"

[stacks.shop]
compose = "shop.yml"
env_file = "shop.env"

[[stacks.shop.probes]]
name = "the shop is open"
service = "web"
url = "http://127.0.0.1:8080/"

[stacks.jobs]
compose = "jobs.yml"
env_file = "jobs.env"
needs = ["shop"]

[stacks.jobs.replicas]
mailer = ["mailer-1", "mailer-2"]

[environments.house]
image_registry = "registry.example/house"
default_tag = "HEAD"
registry = { username = "house", password = "REGISTRY_TOKEN" }
secrets = { source = "environment" }

[environments.house.nodes.front]
host = "a.example"
stack = "shop"
directory = "/srv/shop"

[environments.house.nodes.night]
host = "a.example"
stack = "jobs"
directory = "/srv/jobs"
replicas = { mailer = 1 }

[environments.house.nodes.east]
host = "b.example"
stack = "jobs"
directory = "/srv/jobs"
replicas = { mailer = 1 }
"""

BACKUPS = """
[[stacks.shop.backups]]
name = "rows"
service = "db"
command = ["dump"]
check = ["check"]
restore = ["load"]
"""
"""For `more`: the shop's database is backed up."""

SHOP = """\
name: shop
services:
  web:
    image: ${IMAGE_REGISTRY}/web:${IMAGE_TAG}
    ports: ["8080:80"]
    environment: { GREETING: "${GREETING}", MODE: "${MODE:?set it}" }
  db:
    image: postgres:15
    secrets: [db_password]
secrets:
  db_password: { environment: DB_PASSWORD }
"""

JOBS = """\
name: jobs
services:
  mailer-1:
    image: ${IMAGE_REGISTRY}/jobs:${IMAGE_TAG}
    deploy: { replicas: "${MAILER_1:-0}" }
  mailer-2:
    image: ${IMAGE_REGISTRY}/jobs:${IMAGE_TAG}
    deploy: { replicas: "${MAILER_2:-0}" }
"""

TASKS = """\
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy_lib import collection

ns = collection(Path(__file__).parent)
"""

FABFILE = TASKS.replace("collection", "host_collection")

FABRIC = "tasks: {executor_class: deploy_lib.cli.executor.HostExecutor}\n"


def project(folder: Path, *, more: str = "", deploy: str = DEPLOY) -> Path:
    """The project's files in a folder.

    Args:
        more: further tables of deploy.toml.
    """
    files = {
        "deploy.toml": deploy + more,
        "shop.yml": SHOP,
        "shop.env": "GREETING=hello\nMODE=open\n",
        "jobs.yml": JOBS,
        "jobs.env": "",
        "tasks.py": TASKS,
        "fabfile.py": FABFILE,
        "fabric.yaml": FABRIC,
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def environment(folder: Path, *, more: str = "", deploy: str = DEPLOY) -> Environment:
    """The project's one environment."""
    return load(project(folder, more=more, deploy=deploy), "house")


@cache
def house() -> Environment:
    """The environment without its files, for tests that read none."""
    with TemporaryDirectory() as folder:
        return environment(Path(folder))


def node(folder: Path, name: str = "front") -> Node:
    """One of its nodes: front, night, or east."""
    return environment(folder).nodes[name]
