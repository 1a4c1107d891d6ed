"""The lab's images: pulled where they can be, otherwise built from Debian packages under the same names."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from deploy_lib.errors import DeployError, UsageError
from deploy_lib.secrets.value import Secret
from lab import debian
from lab import docker as build
from lab.layout import USERNAME, Lab

Origin = Literal["pulled", "built", "stand-in"]

RECIPES = Path(__file__).parent / "recipes"
RELEASE = "trixie"
BASE = debian.base(RELEASE)
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
    "mariadb": Recipe("mariadb"),
    "grafana/grafana": Recipe("grafana", standin=True),
    "jaegertracing/all-in-one": Recipe("jaeger", standin=True),
}
"""By repository; the tags stand in the Compose files alone."""

STORE_LABEL = "io.ktrdr.lab.store"
"""Label of a registry's volume: random, so that no two are the same."""

PULL_TIMEOUT = 900.0

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
    online = obtain_base(RELEASE, root, say)
    origins = {name: _obtain(name, online, say) for name in third_party(root)}
    make(f"{REGISTRY}:{RELEASE}", RECIPES / "registry", {"BASE": BASE}, say)
    return origins


def obtain_one(name: str, root: Path, say: Say) -> Origin:
    """Gets one public image onto this machine's engine.

    Raises:
        DeployError: it can neither be pulled nor built.
    """
    return _obtain(name, obtain_base(RELEASE, root, say), say)


def obtain_base(release: str, root: Path, say: Say) -> bool:
    """Gets a Debian base image onto this machine's engine, and says whether it came from a registry.

    One that is there is not looked for again: a newer one would rebuild everything that stands on it.

    Raises:
        DeployError: it can neither be pulled nor made.
    """
    name = debian.base(release)
    made = _recipe_of(name)
    if made == debian.MADE_HERE:
        return False
    if made == "" or (made is None and _pull(name, say)):
        return True
    debian.make_base(release, root / ".lab", say)
    return False


def make_host(release: str, root: Path, say: Say) -> None:
    """Makes the image of the lab's hosts from a Debian release.

    Raises:
        DeployError: it cannot be made.
    """
    obtain_base(release, root, say)
    make(f"{HOST}:{release}", RECIPES / "host", {"BASE": debian.base(release)}, say)


def _obtain(name: str, online: bool, say: Say) -> Origin:
    recipe = FALLBACKS.get(name.partition(":")[0])
    there = _recipe_of(name)
    if there == "" or (there is None and online and _pull(name, say)):
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
    if _recipe_of(tag) == recipe:
        return
    say(f"building {tag} from Debian packages")
    build.build(folder, folder / "Dockerfile", tag, arguments=used, labels={build.LABEL: recipe})


def _hash(folder: Path, seed: str) -> str:
    digest = hashlib.sha256(seed.encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def _recipe_of(name: str) -> str | None:
    """What an image was made from; empty when it was pulled, None when there is none."""
    return build.inspect(name, f'{{{{index .Config.Labels "{build.LABEL}"}}}}')


def _pull(name: str, say: Say) -> bool:
    say(f"pulling {name}")
    command = [build.docker(), "pull", "-q", name]
    try:
        return subprocess.run(command, capture_output=True, timeout=PULL_TIMEOUT).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def publish(lab: Lab, origins: Mapping[str, Origin], password: str, root: Path, say: Say) -> None:
    """Puts the images into the lab's registries, unless they are there: the hosts take them from nowhere else.

    Raises:
        DeployError: a push failed.
    """
    done = _published(lab)
    nfs = nfs_image(root)
    make(nfs, root / "docker" / "nfs-server", {"BASE": BASE}, say)
    stores = {name: _store(lab, name) for name in ("mirror", "registry")}
    wanted = {f"mirror {name}": [build.inspect(name, "{{.Id}}"), stores["mirror"]] for name in origins}
    wanted[f"registry {nfs}"] = [build.inspect(nfs, "{{.Id}}"), stores["registry"]]
    for name in origins:
        if done.get(f"mirror {name}") != wanted[f"mirror {name}"]:
            say(f"publishing {name}")
            build.push(name, f"{lab.mirror}/{'' if '/' in name else 'library/'}{name}")
    if done.get(f"registry {nfs}") != wanted[f"registry {nfs}"]:
        say(f"publishing {nfs}")
        with build.logged_in(lab.registry, USERNAME, Secret(password)) as env:
            build.push(nfs, f"{lab.registry}/{nfs}", env)
    published = {**wanted, "origins": dict(origins)}
    (lab.directory / "published.json").write_text(json.dumps(published, indent=1) + "\n")


def _store(lab: Lab, name: str) -> str:
    """Which store a registry has: a new one is empty, whatever was published to the one before."""
    template = f'{{{{index .Labels "{STORE_LABEL}"}}}}'
    return build.run("volume", "inspect", "--format", template, lab.container(name)).strip()


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
