"""The small project that histories are about: a web server, a program that sets its data up, and a database.

In its second form the web server has a gateway in front, and is replaced without losing a request.
"""

from __future__ import annotations

DEPLOY = """\
default_environment = "house"

[secrets.DB_PASSWORD]
field = "database"
min_length = 8

[secrets.WEB_TOKEN]
field = "web"

[stacks.shop]
compose = "shop.yml"
env_file = "shop.env"
directories = ["conf"]
keep_releases = 2
healthy_timeout = 20
switch_timeout = 30
requires = { docker_mib = 0, directory_mib = 0, memory_mib = 0 }

[[stacks.shop.probes]]
name = "the shop is open"
service = "web"
url = "http://127.0.0.1:11/"
timeout = 0.2

[[stacks.shop.before_switch]]
service = "web"
command = ["migrate"]

[environments.house]
image_registry = "registry.example/house"
default_tag = "1.0"
secrets = { source = "file", path = "secrets.json" }

[environments.house.nodes.front]
host = "simulated.example"
stack = "shop"
"""

SHOP = """\
name: shop
services:
  web:
    image: ${IMAGE_REGISTRY}/web:${IMAGE_TAG}
    restart: unless-stopped
    ports: ["11:80"]
    environment: { GREETING: "${GREETING}" }
    secrets: [web_token, db_password]
    volumes: ["./conf:/etc/web:ro"]
    healthcheck: { test: ["CMD", "true"] }
    depends_on:
      db: { condition: service_healthy }
      setup: { condition: service_completed_successfully }
  setup:
    image: ${IMAGE_REGISTRY}/web:${IMAGE_TAG}
    restart: "no"
    secrets: [db_password]
  db:
    image: registry.example/others/store:5
    restart: unless-stopped
    volumes: ["data:/data"]
    secrets: [db_password]
    healthcheck: { test: ["CMD", "true"] }
volumes:
  data: {}
secrets:
  db_password: { environment: DB_PASSWORD }
  web_token: { environment: WEB_TOKEN }
"""

ROLLED, GATEWAY = "web", "gateway"
"""The service that is rolled in the second form, and what is in front of it."""

_TABLE = f"""\
[[stacks.shop.rolling]]
service = "{ROLLED}"
drain_timeout = 5

"""

_PORT = '    ports: ["11:80"]\n'

_FRONT = f"""\
services:
  {GATEWAY}:
    image: registry.example/others/gateway:3
    restart: unless-stopped
{_PORT}    healthcheck: {{ test: ["CMD", "true"] }}
"""


def deploy_toml(*, rolling: bool) -> str:
    """The description, of either form, up to the directory of its last node."""
    return DEPLOY.replace("[environments.house]\n", f"{_TABLE}[environments.house]\n") if rolling else DEPLOY


def compose_file(*, rolling: bool) -> str:
    """The Compose file, of either form."""
    return SHOP.replace(_PORT, "").replace("services:\n", _FRONT) if rolling else SHOP


TAGS = ("1.0", "2.0", "3.0")
"""Releases that are good."""

BAD = ("4.0-ill", "5.0-lame", "6.0-unable")
"""One that never gets healthy, one that fails its probe, and one whose command before the switch fails."""
