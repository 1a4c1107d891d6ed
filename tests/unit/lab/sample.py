"""A made-up project of two stacks, small enough to be read."""

from pathlib import Path

from lab.project import Project, read

DEPLOY = """\
[secrets]
DB_USER = { field = "user", redact = false }
DB_PASSWORD = { field = "password", min_length = 40 }
PULL = { field = "pull" }

[stacks.site]
compose = "site.yml"
env_file = "site.env"

[stacks.jobs]
compose = "jobs.yml"
env_file = "jobs.env"

[environments.lab]
image_registry = "registry.sample.internal:5001/sample"
default_tag = "HEAD"
ssh_config = ".lab/ssh_config"
registry = { username = "reader", password = "PULL" }
secrets = { source = "file", path = ".lab/secrets.json" }

[environments.lab.nodes]
front = { host = "front.sample.internal", stack = "site", directory = "/opt/site" }
BACK = { host = "BACK_HOST", stack = "jobs", directory = "/opt/jobs" }
"""

SITE = """\
name: sample-site
services:
  web:
    image: nginx:1.26
    ports: ["127.0.0.1:8080:80", "5353:53/udp", "9000"]
  db:
    image: docker.io/library/postgres:17
    ports:
      - { target: 5432, published: "5432" }
      - { target: 53, published: 5354, protocol: udp }
  side:
    image: ${IMAGE_REGISTRY}/sample-side:1.0
"""

JOBS = """\
name: sample-jobs
services:
  worker: { image: "${IMAGE_REGISTRY:-ghcr.io/sample}/sample-worker:${IMAGE_TAG:-latest}" }
  agent: { image: quay.io/other/agent:2 }
"""

LAB = """\
[images."python:3.13"]
recipe = "recipes/python"

[images.nginx]
recipe = "recipes/nginx"

[images.postgres]
standin = "recipes/postgres"

[images.sample-side]
dockerfile = "side/Dockerfile"

[images.sample-worker]
dockerfile = "worker/docker/Dockerfile"
context = "worker"
"""


def write(root: Path, *, lab: str = LAB, back: str = "back", back_host: str = "back.sample.internal") -> None:
    """Writes its files."""
    (root / "deploy.toml").write_text(DEPLOY.replace("BACK_HOST", back_host).replace("BACK", back))
    (root / "site.yml").write_text(SITE)
    (root / "jobs.yml").write_text(JOBS)
    (root / "lab.toml").write_text(lab)


def sample(root: Path, lab: str = LAB) -> Project:
    """Writes its files and reads them."""
    write(root, lab=lab)
    return read(root)
