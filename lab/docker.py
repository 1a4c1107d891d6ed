"""Building and pushing images on this machine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from deploy_lib.errors import DeployError, PreflightError
from deploy_lib.secrets.value import Secret

LABEL = "io.ktrdr.recipe"
"""Label of a built image: the hash of what it was built from."""

_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")


@cache
def docker() -> str:
    """A Docker command on this machine that can build with BuildKit.

    Clients since 23 need the buildx plugin for it; older ones, such as Debian 12's, do without.

    Raises:
        PreflightError: there is none.
    """
    candidates = [path for name in ("docker", "/usr/bin/docker") if (path := shutil.which(name))]
    for path in candidates:
        if subprocess.run([path, "buildx", "version"], capture_output=True).returncode == 0:
            return path
    for path in candidates:
        found = re.search(
            r"version (\d+)\.", subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        )
        if found and int(found[1]) < 23:
            return path
    raise PreflightError(
        "no docker command on this machine can build an image",
        hint="install Docker with its buildx plugin (apt-get install docker.io docker-buildx)",
    )


def run(
    *arguments: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, quiet: bool = True
) -> str:
    """Runs `docker` with these arguments and gives its standard output.

    Raises:
        DeployError: it failed; with the last lines of its output.
    """
    result = subprocess.run(
        [docker(), *arguments],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        env={**os.environ, "DOCKER_BUILDKIT": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else None,
    )
    if result.returncode:
        said = (result.stderr or b"").decode(errors="replace").strip().splitlines()[-12:]
        raise DeployError(f"docker {arguments[0]} failed: " + "\n    ".join(said))
    return result.stdout.decode(errors="replace")


def inspect(reference: str, template: str) -> str | None:
    """A field of a local image; None when there is no such image."""
    result = subprocess.run(
        [docker(), "image", "inspect", "--format", template, reference], capture_output=True, text=True
    )
    return result.stdout.strip() if result.returncode == 0 else None


def build(
    context: Path,
    dockerfile: Path,
    tag: str,
    *,
    arguments: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    quiet: bool = True,
) -> None:
    """Builds an image.

    The machine's own CA certificates go along as the BuildKit secret `ca`, and pip's index as the argument
    PIP_INDEX_URL, where they are configured: behind a proxy that opens TLS nothing could be downloaded otherwise.

    Raises:
        DeployError: the build failed; with the last lines of its output.
    """
    given, env = inputs(arguments or {}, labels or {})
    command = ["build", "--network", "host", "--progress", "plain", "-t", tag, "-f", str(dockerfile)]
    run(*command, *given, str(context), env=env, quiet=quiet)


def inputs(arguments: Mapping[str, str], labels: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """What goes into any build on this machine: flags of `docker build`, and variables for its environment."""
    env = index_arguments()
    # Their values come from the environment: an index's address may hold a password.
    flags = [part for name in env for part in ("--build-arg", name)]
    for name, value in arguments.items():
        flags += ["--build-arg", f"{name}={value}"]
    for name, value in labels.items():
        flags += ["--label", f"{name}={value}"]
    if bundle := ca_bundle():
        flags += ["--secret", f"id=ca,src={bundle}"]
    return flags, env


def ca_bundle() -> Path | None:
    """The CA certificates that this machine's configuration names, in the environment or for pip."""
    named = [os.environ.get(name, "") for name in _CA_VARIABLES]
    named = [name for name in named if name] or [_pip_setting("global.cert")]
    return next((path for path in map(Path, named) if path.is_file()), None)


def index_arguments() -> dict[str, str]:
    """pip's own package index, when the machine has one configured."""
    url = (
        os.environ.get("PIP_INDEX_URL")
        or os.environ.get("UV_DEFAULT_INDEX")
        or _pip_setting("global.index-url")
    )
    return {"PIP_INDEX_URL": url} if url.startswith("http") else {}


def _pip_setting(name: str) -> str:
    pip = shutil.which("pip3") or shutil.which("pip")
    if pip is None:
        return ""
    found = subprocess.run([pip, "config", "get", name], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else ""


@contextmanager
def logged_in(registry: str, username: str, password: Secret) -> Iterator[Mapping[str, str]]:
    """The environment of a `docker` that is logged in to `registry`; the credentials lie in memory and are then gone.

    Raises:
        DeployError: the registry refused the login.
    """
    memory = Path("/dev/shm")  # noqa: S108 - memory, where there is some: nothing must rest on a disk
    with tempfile.TemporaryDirectory(
        prefix="ktrdr-build.", dir=memory if keeps_its_own(memory) else None
    ) as directory:
        plugins = Path.home() / ".docker" / "cli-plugins"
        if plugins.is_dir():
            (Path(directory) / "cli-plugins").symlink_to(plugins)
        # Builders are found where they were made, whatever configuration the login needs.
        builders = os.environ.get("BUILDX_CONFIG", str(Path.home() / ".docker" / "buildx"))
        env = {"DOCKER_CONFIG": directory, "BUILDX_CONFIG": builders}
        run(
            "login",
            "--username",
            username,
            "--password-stdin",
            registry,
            stdin=password.reveal().encode(),
            env=env,
        )
        yield env


def keeps_its_own(directory: Path) -> bool:
    """Whether what is made in a directory stays there until its maker or root takes it away."""
    try:
        about = directory.stat()
    except OSError:
        return False
    others = about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX
    return stat.S_ISDIR(about.st_mode) and about.st_uid in (0, os.geteuid()) and not others


def push(local: str, remote: str, env: Mapping[str, str] | None = None) -> str:
    """Pushes a local image under another name, and gives its digest.

    Raises:
        DeployError: the registry refused it.
    """
    run("tag", local, remote)
    try:
        said = run("push", remote, env=env)
    finally:
        run("rmi", remote)
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
    if found is None:
        raise DeployError(f"docker push of {remote} named no digest")
    return found[1]
