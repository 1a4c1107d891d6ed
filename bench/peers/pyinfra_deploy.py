"""pyinfra: pyinfra -y pyinfra_inventory.py pyinfra_deploy.py; the inventory's data has it all."""

from pyinfra import host
from pyinfra.operations import files, server

n = host.data.n
env = {**n["secrets"], "DOCKER_CONFIG": n["docker"], "TOKEN": n["token"]}
compose = f"cd {n['dir']} && {n['compose']}"
files.sync(name="files", src=n["files"], dest=n["dir"])
login = f'printf %s "$TOKEN" | docker login -u lab --password-stdin {n["registry"]}'
server.shell(name="login", commands=[login], _env=env)
server.shell(name="pull", commands=[f"{compose} pull -q"], _env=env)
server.shell(name="up", commands=[f"{compose} up -d --wait --quiet-pull && {n['after']}"], _env=env)
server.shell(name="health", commands=[n["health"]])
