"""The labels by which a project's containers are found, as filters for `docker ps`.

Asked by label, Docker answers although a variable of the Compose file has no value; `docker compose ps` does not.
"""

from __future__ import annotations

from deploy_lib.shell import words

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
CONFIG_HASH = "com.docker.compose.config-hash"
NETWORK = "com.docker.compose.network"
NUMBER = "com.docker.compose.container-number"
DEPENDS_ON = "com.docker.compose.depends_on"
ONE_OFF = "com.docker.compose.oneoff"
DIRECTORY = "com.docker.compose.project.working_dir"
FILES = "com.docker.compose.project.config_files"
ENV_FILES = "com.docker.compose.project.environment_file"

NO_ONE_OFF = words("--filter", f"label={ONE_OFF}=False")
"""Leaves out the containers of `docker compose run`, which are no part of the running stack."""


def of_project(project: str) -> str:
    """Finds the containers of a project."""
    return words("--filter", f"label={PROJECT}={project}")


def of_service(service: str) -> str:
    """Finds those of one service, with `of_project`."""
    return words("--filter", f"label={SERVICE}={service}")


def of_service_in(variable: str) -> str:
    """The same for a service that a shell variable names.

    Args:
        variable: its name, such as "1" for the first argument.
    """
    return f'--filter "label={SERVICE}=${variable}"'


def in_directory(directory: object) -> str:
    """The filter that finds the containers of all projects that were started in a directory."""
    return f"label={DIRECTORY}={directory}"


def template(label: str) -> str:
    """For the format of `docker ps` and `docker network ls`: a label's value."""
    return f'{{{{.Label "{label}"}}}}'
