"""The lab's images: pulled where they can be, otherwise made as lab.toml says; the project's own are built."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from deploy_lib.errors import DeployError, UsageError
from deploy_lib.names import did_you_mean
from deploy_lib.secrets.value import Secret

from . import debian
from . import docker as build
from .layout import Lab
from .project import DIRECTORY, Project
from .settings import FILE, RELEASE, ImageSpec

Origin = Literal["pulled", "built", "stand-in"]

RECIPES = Path(__file__).parent / "recipes"
BASE = debian.base(RELEASE)
"""What recipes start from, as their build argument BASE."""

HOST = "ktrdr-lab/host"
REGISTRY = "ktrdr-lab/registry"

STORE_LABEL = "io.ktrdr.lab.store"
"""Label of a registry's volume: random, so that no two are the same."""

PULL_TIMEOUT = 900.0

Say = Callable[[str], None]


def public(project: Project) -> list[str]:
    """The images from public registries: what lab.toml names with a tag, as a base for others; then the Compose files'.

    Those of other registries than Docker's own count when lab.toml has them: a lab's hosts pull the rest for themselves.

    Raises:
        UsageError: lab.toml has an image without a tag that no Compose file names.
    """
    specs = project.file.images
    plain = {name.removeprefix("docker.io/").removeprefix("library/") for name in project.image_names}
    found = sorted(name for name in plain if "$" not in name and "@" not in name)
    repositories = {name.partition(":")[0] for name in found}
    for name, spec in specs.items():
        if spec.dockerfile is None and ":" not in name and name not in repositories:
            raise UsageError(
                f"{FILE}: images.{name}: no Compose file has this image",
                hint=did_you_mean(name, repositories) or "give it a tag, if other images are built on it",
            )
    return list(
        dict.fromkeys([*bases(specs), *(name for name in found if _on_hub(name) or _spec(specs, name))])
    )


def bases(specs: Mapping[str, ImageSpec]) -> list[str]:
    """The images that others are built on."""
    return [name for name, spec in specs.items() if ":" in name and spec.dockerfile is None]


def own(project: Project) -> dict[str, ImageSpec]:
    """The project's own images that have a tag of their own, by their names below the private registry.

    Raises:
        UsageError: lab.toml has an image that no Compose file names.
    """
    folder = project.environment.image_registry.partition("/")[2]
    found = {}
    for name, spec in project.file.images.items():
        if spec.dockerfile is not None and "$" not in (tag := tag_of(project, name)):
            found[f"{folder}/{name}:{tag}"] = spec
    return found


def tag_of(project: Project, name: str) -> str:
    """The tag that the Compose files give an image of the project's own; with a `$` when it is the release's.

    Raises:
        UsageError: none of them names it.
    """
    for reference in project.image_names:
        path, slash, last = reference.rpartition("/")
        repository, _, tag = last.partition(":")
        if f"/{path}{slash}{repository}".endswith(f"/{name}"):
            return tag
    raise UsageError(f"{FILE}: images.{name}: no Compose file has an image .../{name}")


def obtain(project: Project, say: Say) -> dict[str, Origin]:
    """Gets every public image onto this machine's engine, and says where each came from.

    Raises:
        DeployError: one can neither be pulled nor made.
    """
    origins = obtain_all(public(project), project.file.images, project.root, say)
    make(f"{REGISTRY}:{RELEASE}", RECIPES / "registry", {"BASE": BASE}, say)
    return origins


def obtain_all(
    names: Iterable[str], specs: Mapping[str, ImageSpec], root: Path, say: Say
) -> dict[str, Origin]:
    """Gets public images onto this machine's engine, those that others are built on first.

    Raises:
        DeployError: one can neither be pulled nor made.
    """
    online = obtain_base(RELEASE, root, say)
    return {name: _obtain(root, specs, name, online, say) for name in names}


def obtain_one(name: str, root: Path, say: Say) -> Origin:
    """Gets one public image onto this machine's engine; where it cannot be pulled, by the recipe of its name here.

    Raises:
        DeployError: it can neither be pulled nor built.
    """
    if _pulled(name, obtain_base(RELEASE, root, say), say):
        return "pulled"
    make(name, RECIPES / name.partition(":")[0], {"BASE": BASE}, say)
    return "built"


def obtain_base(release: str, root: Path, say: Say) -> bool:
    """Gets a Debian base image onto this machine's engine, and says whether it came from a registry.

    One that is there is not looked for again: a newer one would rebuild everything that stands on it.

    Raises:
        DeployError: it can neither be pulled nor made.
    """
    name = debian.base(release)
    made = recipe_of(name)
    if made == debian.MADE_HERE:
        return False
    if made == "" or (made is None and _pull(name, say)):
        return True
    debian.make_base(release, root / DIRECTORY, say)
    return False


def make_host(release: str, root: Path, say: Say) -> None:
    """Makes the image of the lab's hosts from a Debian release.

    Raises:
        DeployError: it cannot be made.
    """
    obtain_base(release, root, say)
    make(f"{HOST}:{release}", RECIPES / "host", {"BASE": debian.base(release)}, say)


def _obtain(root: Path, specs: Mapping[str, ImageSpec], name: str, online: bool, say: Say) -> Origin:
    if _pulled(name, online, say):
        return "pulled"
    spec = _spec(specs, name)
    if spec is None:
        raise DeployError(
            f"{name} cannot be pulled here, and {FILE} does not say how to make it",
            hint=f'add [images."{name.partition(":")[0]}"] to {FILE}, or run the lab where a registry can be reached',
        )
    folder = root / str(spec.recipe or spec.standin)
    make(name, folder, {"BASE": BASE, **spec.arguments}, say)
    return "stand-in" if spec.standin else "built"


def _spec(specs: Mapping[str, ImageSpec], name: str) -> ImageSpec | None:
    return specs.get(name) or specs.get(name.partition(":")[0])


def _on_hub(name: str) -> bool:
    """Whether Docker looks for an image in its own registry, for which the lab has a mirror."""
    first, slash, _ = name.partition("/")
    return not slash or not ("." in first or ":" in first or first == "localhost")


def make(
    tag: str, folder: Path, arguments: Mapping[str, str], say: Say, *, dockerfile: Path | None = None
) -> None:
    """Builds an image, unless it is there and was built from the very same files on the same base.

    Raises:
        UsageError: there is no Dockerfile.
        DeployError: the build failed.
    """
    dockerfile = dockerfile or folder / "Dockerfile"
    used = arguments_of(dockerfile, arguments)
    named = [*used.values(), *bases_of(dockerfile)]
    bases = "".join(build.inspect(value, "{{.Id}}") or value for value in named)
    recipe = _hash(folder, bases)
    if recipe_of(tag) == recipe:
        return
    say(f"building {tag}")
    build.build(folder, dockerfile, tag, arguments=used, labels={build.LABEL: recipe})


def arguments_of(dockerfile: Path, arguments: Mapping[str, str]) -> dict[str, str]:
    """Those build arguments that a Dockerfile declares.

    Raises:
        UsageError: there is no such file.
    """
    try:
        text = dockerfile.read_text()
    except OSError:
        raise UsageError(f"there is no {dockerfile}", hint=f"see [images] in {FILE}") from None
    return {name: value for name, value in arguments.items() if f"ARG {name}" in text}


def bases_of(dockerfile: Path) -> list[str]:
    """The images that stand in a Dockerfile itself, and not in its arguments."""
    return re.findall(r"^FROM ([^\s$]+:[^\s$]+)", dockerfile.read_text(), re.MULTILINE)


def _hash(folder: Path, seed: str) -> str:
    digest = hashlib.sha256(seed.encode())
    for path in sorted(folder.rglob("*")):
        # Byte code is there in some checkouts and not in others, whose labs would build the image by turns.
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def recipe_of(name: str) -> str | None:
    """What an image was made from; empty when it was pulled, None when there is none."""
    return build.inspect(name, f'{{{{index .Config.Labels "{build.LABEL}"}}}}')


def _pulled(name: str, online: bool, say: Say) -> bool:
    """Whether an image is a registry's; one that was made here stays so."""
    there = recipe_of(name)
    return there == "" or (there is None and online and _pull(name, say))


def _pull(name: str, say: Say) -> bool:
    say(f"pulling {name}")
    command = [build.docker(), "pull", "-q", name]
    try:
        return subprocess.run(command, capture_output=True, timeout=PULL_TIMEOUT).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def publish(lab: Lab, origins: Mapping[str, Origin], say: Say, password: str) -> None:
    """Puts the images into the lab's registries, unless they are there: the hosts take them from nowhere else.

    Raises:
        DeployError: a build or a push failed.
    """
    done = _published(lab)
    images = own(lab.project)
    for name, spec in images.items():
        dockerfile = lab.project.root / str(spec.dockerfile)
        folder = context_of(lab.project, spec)
        make(name, folder, {"BASE": BASE, **spec.arguments}, say, dockerfile=dockerfile)
    wanted = {f"mirror {name}": _state(lab, "mirror", name) for name in origins}
    wanted |= {f"registry {name}": _state(lab, "registry", name) for name in images}
    for name in origins:
        if done.get(f"mirror {name}") != wanted[f"mirror {name}"]:
            say(f"publishing {name}")
            build.push(name, f"{lab.mirror}/{'' if '/' in name else 'library/'}{name}")
    push(
        lab,
        [name for name in images if done.get(f"registry {name}") != wanted[f"registry {name}"]],
        say,
        password,
    )
    published = {**wanted, "origins": dict(origins)}
    (lab.directory / "published.json").write_text(json.dumps(published, indent=1) + "\n")


def push(lab: Lab, names: Sequence[str], say: Say, password: str) -> None:
    """Pushes images of this machine, by their names below the private registry.

    Raises:
        DeployError: the registry refused the login or an image.
    """
    if not names:
        return
    with build.logged_in(lab.registry, lab.project.environment.registry.username, Secret(password)) as env:
        for name in names:
            say(f"publishing {name}")
            build.push(name, f"{lab.registry}/{name}", env)


def context_of(project: Project, spec: ImageSpec) -> Path:
    """The folder that an image of the project's own is built in."""
    return project.root / spec.context if spec.context else (project.root / str(spec.dockerfile)).parent


def _state(lab: Lab, registry: str, name: str) -> list[str | None]:
    return [build.inspect(name, "{{.Id}}"), _store(lab, registry)]


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
