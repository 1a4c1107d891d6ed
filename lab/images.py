"""The lab's images: pulled where they can be, otherwise built from Debian packages under the same names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from deploy_lib import build
from deploy_lib.errors import DeployError, PreflightError, UsageError
from deploy_lib.secrets.value import Secret
from lab import engine
from lab.layout import USERNAME, Lab

Origin = Literal["pulled", "built", "stand-in"]

RECIPES = Path(__file__).parent / "recipes"
BASE = "debian:trixie-slim"
PYTHON = "python:3.13-slim-trixie"

HOST = "ktrdr-lab/host"
REGISTRY = "ktrdr-lab/registry"


@dataclass(frozen=True)
class Recipe:
    """How an image that cannot be pulled is made.

    Attributes:
        folder: below `recipes/`.
        standin: it only answers in the place of the real thing.
    """

    folder: str
    standin: bool = False


FALLBACKS: Mapping[str, Recipe] = {
    "python": Recipe("python"),
    "timescale/timescaledb": Recipe("timescaledb"),
    "prom/prometheus": Recipe("prometheus"),
    "grafana/grafana": Recipe("grafana", standin=True),
    "jaegertracing/all-in-one": Recipe("jaeger", standin=True),
}
"""By repository; the tags stand in the Compose files alone."""

Say = Callable[[str], None]


def third_party(root: Path) -> list[str]:
    """The images that the Compose files take from public registries, and the base of our own."""
    names = {PYTHON}
    for path in sorted((root / "compose").glob("docker-compose.*.yml")):
        services = yaml.safe_load(path.read_text())["services"]
        names |= {spec["image"] for spec in services.values() if "$" not in spec.get("image", "$")}
    # What others are built on comes first.
    return sorted(names, key=lambda name: (name != PYTHON, name))


def obtain(root: Path, say: Say) -> dict[str, Origin]:
    """Gets every image onto this machine's engine, and says where each came from.

    Raises:
        DeployError: one can neither be pulled nor built.
    """
    online = _pullable(BASE)
    if not online and build.inspect(BASE, "{{.Id}}") is None:
        bootstrap(say)
    origins: dict[str, Origin] = {}
    for name in third_party(root):
        origins[name] = _obtain(name, online, say)
    for name, folder in ((HOST, "host"), (REGISTRY, "registry")):
        make(f"{name}:trixie", RECIPES / folder, {"BASE": BASE}, say)
    return origins


def _obtain(name: str, online: bool, say: Say) -> Origin:
    recipe = FALLBACKS.get(name.partition(":")[0])
    there = build.inspect(name, f'{{{{index .Config.Labels "{build.LABEL}"}}}}')
    if there == "" or (there is None and online and _pullable(name)):
        return "pulled"
    if recipe is None:
        raise DeployError(
            f"{name} cannot be pulled here, and lab/images.py has no recipe for it",
            mend="add one, or run the lab where the registry can be reached",
        )
    make(name, RECIPES / recipe.folder, {"BASE": BASE, "PYTHON": PYTHON}, say)
    return "stand-in" if recipe.standin else "built"


def make(tag: str, folder: Path, arguments: Mapping[str, str], say: Say) -> None:
    """Builds an image, unless it is there and was built from the very same files on the same base."""
    used = {
        name: value
        for name, value in arguments.items()
        if f"ARG {name}" in (folder / "Dockerfile").read_text()
    }
    bases = "".join(build.inspect(base, "{{.Id}}") or "" for base in used.values())
    recipe = _hash(folder, bases)
    if build.inspect(tag, f'{{{{index .Config.Labels "{build.LABEL}"}}}}') == recipe:
        return
    say(f"building {tag} from Debian packages")
    build.build(folder, folder / "Dockerfile", tag, arguments=used, labels={build.LABEL: recipe})


def _hash(folder: Path, seed: str) -> str:
    digest = hashlib.sha256(seed.encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def _pullable(name: str) -> bool:
    try:
        return (
            subprocess.run([build.docker(), "pull", "-q", name], capture_output=True, timeout=900).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def bootstrap(say: Say) -> None:
    """Makes Debian's base image with debootstrap, from the package mirror that this machine uses itself.

    Raises:
        PreflightError: not on a Debian machine, or debootstrap failed.
    """
    if os.geteuid() != 0 or not Path("/etc/debian_version").exists():
        raise PreflightError(
            f"{BASE} cannot be pulled, and only root on Debian or Ubuntu can make it from packages",
            mend="give this machine access to a container registry",
        )
    if shutil.which("debootstrap") is None:
        engine.packages(["debootstrap"], say)
    say(f"making {BASE} with debootstrap")
    with tempfile.TemporaryDirectory(prefix="ktrdr-lab.") as folder:
        tree = Path(folder) / "tree"
        keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        options = [f"--keyring={keyring}"] if keyring.exists() else []
        command = ["debootstrap", "--variant=minbase", *options, "trixie", str(tree), debian_mirror()]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise PreflightError("debootstrap failed: " + " / ".join(result.stdout.strip().splitlines()[-3:]))
        for cached in (tree / "var/cache/apt/archives").glob("*.deb"):
            cached.unlink()
        tar = subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE)
        label = f'LABEL {build.LABEL}="debootstrap"'
        done = subprocess.run(
            [build.docker(), "import", "-c", label, "-", BASE], stdin=tar.stdout, capture_output=True
        )
        tar.wait()
        if done.returncode:
            raise DeployError(f"docker import failed: {done.stderr.decode(errors='replace').strip()}")


_URI = re.compile(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?://\S*debian\S*?)/?(?:\s|$)", re.MULTILINE)


def debian_mirror() -> str:
    """The Debian archive that this machine's apt is configured for.

    Raises:
        PreflightError: there is none.
    """
    folder = Path("/etc/apt")
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if path.is_file():
            for uri in _URI.findall(path.read_text(errors="replace")):
                if "security" not in uri:
                    return str(uri)
    raise PreflightError(
        "apt on this machine has no Debian archive configured", mend="see /etc/apt/sources.list"
    )


def publish(lab: Lab, origins: Mapping[str, Origin], password: str, root: Path, say: Say) -> None:
    """Puts the images into the lab's registries, unless they are there: the hosts take them from nowhere else.

    Raises:
        DeployError: a push failed.
    """
    done = _published(lab)
    wanted = {f"mirror {name}": build.inspect(name, "{{.Id}}") or "" for name in origins}
    nfs = nfs_image(root)
    make(nfs, root / "docker" / "nfs-server", {"BASE": BASE}, say)
    wanted[f"registry {nfs}"] = build.inspect(nfs, "{{.Id}}") or ""
    for name in origins:
        key = f"mirror {name}"
        if done.get(key) != wanted[key]:
            say(f"publishing {name}")
            build.push(name, f"{lab.mirror}/{'' if '/' in name else 'library/'}{name}")
    key = f"registry {nfs}"
    if done.get(key) != wanted[key]:
        say(f"publishing {nfs}")
        with build.logged_in(lab.registry, USERNAME, Secret(password)) as env:
            build.push(nfs, f"{lab.registry}/{nfs}", env)
    (lab.directory / "published.json").write_text(
        json.dumps({**wanted, "origins": dict(origins)}, indent=1) + "\n"
    )


def _published(lab: Lab) -> dict[str, Any]:
    try:
        found = json.loads((lab.directory / "published.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def origins_of(lab: Lab) -> dict[str, str]:
    """Where each image came from, as the last `lab.up` noted it."""
    found = _published(lab).get("origins", {})
    return dict(found) if isinstance(found, dict) else {}


def nfs_image(root: Path) -> str:
    """The NFS server's name below the registry, as the Compose file has it.

    Raises:
        UsageError: the Compose file names none.
    """
    path = root / "compose" / "docker-compose.core.yml"
    found = re.search(r"image:\s*\S*/(ktrdr-nfs-server:\S+)", path.read_text())
    if found is None:
        raise UsageError(f"{path} names no ktrdr-nfs-server image")
    return f"ktrdr/{found[1]}"
