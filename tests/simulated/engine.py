"""The state of a Docker Engine: images, containers, volumes; and a registry that it pulls from.

Nothing here waits. A container turns healthy when it has been looked at a few times; an engine that restarts answers again after
it has refused a few calls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from .things import LOOKS, PROJECT, Behaviour, Container, DownError, EngineError, Image, sha


class Engine:
    """An engine with its state; calls come from several threads.

    Args:
        moment: called before each change, with what is about to change; may raise, and may change anything itself.
    """

    def __init__(self, moment: Callable[[str], None] = lambda _: None) -> None:
        self.lock = threading.RLock()
        self.happened = threading.Condition(self.lock)
        self.moment = moment
        self.images: dict[str, Image] = {}
        self.containers: dict[str, Container] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.registry: dict[str, str] = {}
        self.events = 0
        self.newest = 0.0
        self.refusing = 0
        self.run = 0
        self._made = 0

    # --- the registry and the images -------------------------------------------------------------------------

    def push(self, reference: str, says: str = "") -> None:
        """Puts an image into the registry."""
        self.registry[reference] = sha(f"manifest of {reference} {says}")

    def pull(self, reference: str) -> Image:
        """Gets an image by its digest, or by its tag."""
        name, _, digest = reference.partition("@")
        repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
        known = [r for r, d in self.registry.items() if d == digest and r.startswith(f"{repository}:")]
        source = known[0] if digest and known else f"{repository or name}:{tag or 'latest'}"
        if source not in self.registry or digest not in ("", self.registry[source]):
            raise EngineError(f"manifest for {reference} not found: manifest unknown: manifest unknown")
        self.moment(f"pull {source}")
        digest = self.registry[source]
        with self.lock:
            image = self.images.setdefault(sha(digest), Image(sha(digest), source.rpartition(":")[2]))
            listed = f"{repository or name}@{digest}".removeprefix("docker.io/").removeprefix("library/")
            image.digests = sorted({*image.digests, listed})
            if "@" not in reference:
                image.tags = sorted({*image.tags, source})
            return image

    def image(self, reference: str) -> Image:
        """An image by id, tag or digest."""
        name, _, digest = reference.partition("@")
        repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        asked = f"{repository}@{digest}" if digest else name
        plain = asked if digest or ":" in name.rpartition("/")[2] else f"{name}:latest"
        for image in self.images.values():
            if reference in (image.id, image.id[7:], image.id[7:19]) or {plain} & {
                *image.tags,
                *image.digests,
            }:
                return image
        raise EngineError(f"No such image: {reference}")

    def tag(self, reference: str, tag: str) -> None:
        """Gives an image one more name."""
        image = self.image(reference)
        self.moment(f"tag {tag}")
        with self.lock:
            for other in self.images.values():
                other.tags = [each for each in other.tags if each != tag]
            image.tags = sorted({*image.tags, tag})

    def remove_image(self, reference: str) -> None:
        """Takes a name away, and an image that has no other; by its id, an image with one repository's names."""
        image = self.image(reference)
        self.moment(f"rmi {reference}")
        users = [c for c in self.containers.values() if c.image_id == image.id]
        by_id = reference.startswith("sha256:") or reference in image.id
        with self.lock:
            repositories = {t.rpartition(":")[0] for t in image.tags} | {
                d.partition("@")[0] for d in image.digests
            }
            if by_id:
                if users:
                    raise EngineError(
                        f"conflict: unable to delete {image.id[7:19]} (cannot be forced) - image is being used by running container {users[0].id[:12]}"
                    )
                if len(repositories) > 1 or len(image.tags) > 1:
                    raise EngineError(
                        f"conflict: unable to delete {image.id[7:19]} (must be forced) - image is referenced in multiple repositories"
                    )
                del self.images[image.id]
                return
            image.tags = [t for t in image.tags if t != reference]
            image.digests = [d for d in image.digests if d != reference]
            if not image.tags and not image.digests and not users:
                del self.images[image.id]

    # --- the containers ------------------------------------------------------------------------------------------

    def find(self, name: str) -> Container:
        """A container by id, the beginning of it, or name."""
        for c in self.containers.values():
            if name.lstrip("/") == c.name or (len(name) >= 12 and c.id.startswith(name)):
                return c
        raise EngineError(f"No such container: {name}")

    def _require_free(self, name: str) -> None:
        for other in self.containers.values():
            if other.name == name:
                raise EngineError(
                    f'Conflict. The container name "/{name}" is already in use by container "{other.id}".'
                )

    def create(
        self, name: str, image: str, labels: dict[str, str], spec: dict[str, Any], env: dict[str, str]
    ) -> Container:
        """Makes a container, which is not started."""
        found = self.image(image)
        self._require_free(name)
        self.moment(f"create {name}")
        with self.lock:
            self._made += 1
            identity = sha(f"{name} {self._made}")[7:]
            made = Container(identity, name, image, found.id, labels, spec, env, found.says)
            self.containers[identity] = made
            for each in spec.get("volumes") or ():
                if each["type"] == "volume":
                    key = f"{labels.get(PROJECT, '')}_{each['source']}"
                    self.volumes.setdefault(key, {PROJECT: labels.get(PROJECT, "")})
            return made

    def start(self, c: Container) -> None:
        """Starts a container."""
        self.moment(f"start {c.name}")
        with self.lock:
            taken = {str(p.get("published")) for p in c.spec.get("ports") or ()}
            for other in self.containers.values():
                if (
                    other is not c
                    and other.state == "running"
                    and taken & {str(p.get("published")) for p in other.spec.get("ports") or ()}
                ):
                    raise EngineError(
                        f"driver failed programming external connectivity on endpoint {c.name}: port is already allocated"
                    )
            self._begin(c)

    def _begin(self, c: Container) -> None:
        c.started = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        c.state, c.looks, c.wanted, c.code = "running", 0, True, 0
        c.told.clear()
        # As Docker does: the first address that no other has, which may have been another's a moment ago.
        taken = {other.address for other in self.containers.values() if other is not c}
        c.address = next(at for at in (f"172.18.0.{n}" for n in range(2, 255)) if at not in taken)
        if c.spec.get("restart") == "no":
            # It does its work at once.
            c.state, c.wanted, c.code = "exited", False, 1 if Behaviour(c.says).unable else 0
            c.address = ""
        self.tell()

    def stop(self, c: Container) -> None:
        """Stops a container."""
        self.moment(f"stop {c.name}")
        with self.lock:
            if c.state == "running":
                c.state, c.code = "exited", 0
            c.wanted, c.address = False, ""
            self.tell()

    def remove(self, c: Container, *, force: bool = False) -> None:
        """Removes a container."""
        if c.state == "running" and not force:
            raise EngineError(
                f"cannot remove container {c.name!r}: container is running: stop the container before removing or force remove"
            )
        self.moment(f"rm {c.name}")
        with self.lock:
            self.containers.pop(c.id, None)
            self.tell()

    def rename(self, c: Container, name: str) -> None:
        """Gives a container another name."""
        self._require_free(name)
        self.moment(f"rename {c.name} to {name}")
        with self.lock:
            c.name = name

    def look(self, c: Container) -> Container:
        """A container that is looked at: time passes for it."""
        with self.lock:
            if c.state == "running":
                c.looks += 1
                if c.looks == LOOKS + 1:
                    self.tell()
            return c

    def of(self, project: str) -> Iterator[Container]:
        """The containers of a project, the newest first."""
        yield from (c for c in reversed(self.containers.values()) if c.project == project)

    # --- what befalls it ---------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Wakes who waits for events."""
        with self.lock:
            self.events += 1
            self.newest = time.time()
            self.happened.notify_all()

    def require_up(self) -> None:
        """Refuses a call while the engine is restarting."""
        with self.lock:
            if self.refusing:
                self.refusing -= 1
                raise DownError(
                    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
                )

    def restart(self, refusing: int = 3) -> None:
        """It goes down with its containers, and comes up with those that it starts again by itself.

        Args:
            refusing: calls that it refuses until then.
        """
        with self.lock:
            self.run += 1
            self.refusing = refusing
            for c in self.containers.values():
                if c.state == "running":
                    c.state, c.code = "exited", 137
                c.address = ""
            for c in self.containers.values():
                if c.wanted and c.restarting:
                    self._begin(c)
            self.tell()
