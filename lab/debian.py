"""Debian's base images, made from packages where they cannot be pulled."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy_lib.errors import DeployError, PreflightError

from . import docker as build
from . import engine

SLIM: Mapping[str, str] = {
    "etc/apt/apt.conf.d/lab-slim": """\
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };
Acquire::Languages "none";
""",
    "etc/dpkg/dpkg.cfg.d/lab-slim": """\
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/locale/*
""",
}
"""What keeps the images small that are made from a base image; Debian's own slim ones have the like."""

MADE_HERE = f"debootstrap-{hashlib.sha256(repr(SLIM).encode()).hexdigest()[:8]}"
"""Value of the recipe label of a base image that was made here."""

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_URI = re.compile(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?://\S*debian\S*?)/?(?:\s|$)", re.MULTILINE)

Say = Callable[[str], None]


def base(release: str) -> str:
    """The name of a release's base image."""
    return f"debian:{release}-slim"


def make_base(release: str, directory: Path, say: Say) -> None:
    """Makes a base image with debootstrap, from the package archive that this machine uses itself.

    Args:
        directory: where the file tree is put together.

    Raises:
        PreflightError: not as root on a Debian machine, or debootstrap failed.
    """
    name = base(release)
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        raise PreflightError(
            f"{name} cannot be pulled, and only root on Debian can make it from packages",
            mend="give this machine access to a container registry",
        )
    archive = find_archive()
    if shutil.which("debootstrap") is None:
        engine.packages(["debootstrap"], say)
    say(f"making {name} with debootstrap")
    with tempfile.TemporaryDirectory(prefix="debootstrap.", dir=directory) as folder:
        tree = Path(folder) / "tree"
        keyring = [f"--keyring={_KEYRING}"] if _KEYRING.exists() else []
        command = ["debootstrap", "--variant=minbase", *keyring, release, str(tree), archive]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise PreflightError("debootstrap failed: " + " / ".join(result.stdout.strip().splitlines()[-3:]))
        slim(tree)
        if release == "sid":
            # An archive's copy of it may be older than its release file allows.
            (tree / "etc/apt/apt.conf.d/lab-sid").write_text('Acquire::Check-Valid-Until "false";\n')
        import_tree(tree, name)


def slim(tree: Path) -> None:
    """Takes out of a file tree what no container needs, and keeps packages from bringing it."""
    for folder in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(tree / folder)
        (tree / folder).mkdir()
    for name, text in SLIM.items():
        (tree / name).write_text(text)


def import_tree(tree: Path, name: str) -> None:
    """Makes an image of a file tree.

    Raises:
        DeployError: Docker did not take it.
    """
    label = f'LABEL {build.LABEL}="{MADE_HERE}"'
    with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as tar:
        done = subprocess.run(
            [build.docker(), "import", "-c", label, "-", name], stdin=tar.stdout, capture_output=True
        )
    if done.returncode or tar.returncode:
        raise DeployError(f"docker import failed: {done.stderr.decode(errors='replace').strip()}")


def find_archive(folder: Path = Path("/etc/apt")) -> str:
    """The Debian archive that this machine's apt is configured for.

    Raises:
        PreflightError: there is none.
    """
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if path.is_file():
            for uri in _URI.findall(path.read_text(errors="replace")):
                if not any(other in uri for other in ("security", "docker")):
                    return str(uri)
    raise PreflightError(
        "apt on this machine has no Debian archive configured, and images cannot be pulled either",
        mend="give this machine access to a container registry, or see /etc/apt/sources.list",
    )
