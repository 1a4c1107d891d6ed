"""The workflow's own command, run by a real Buildx: one image for two platforms, with its provenance, under another tag.

Buildx and an engine that stores such images come from Debian, in a container. What cannot be had without GitHub and Docker Hub is
left out: GitHub's cache, and the program that writes the SBOM.
"""

import json
import secrets
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy_lib.config import Environment
from deploy_lib.errors import DeployError
from lab import docker as build
from lab import hosts, images, pipeline
from lab.credentials import registry_password
from lab.layout import Lab
from lab.settings import RELEASE

pytestmark = pytest.mark.full

ENGINE = {"features": {"containerd-snapshotter": True}, "hosts": ["unix:///run/engine/socket"]}
"""As the lab's hosts, it has a network namespace of its own: an engine sees to the bridges of the one that it is in."""

DOCKERFILE = """\
FROM scratch
ARG TARGETARCH
COPY ${TARGETARCH}/bin/busybox /
RUN ["/busybox", "sh", "-c", "/busybox uname -m >/machine"]
ARG VERSION
LABEL version=${VERSION}
"""

PROGRAMS = """
dpkg --add-architecture arm64
apt-get -qq update
apt-get -qq install -y --no-install-recommends docker-buildx qemu-user-static >/dev/null
mkdir /try
cd /try
for name in amd64 arm64; do
    apt-get -qq download busybox-static:$name
    dpkg-deb -x busybox-static_*_$name.deb $name
    [ -e $name/bin/busybox ] || { mkdir -p $name/bin; mv $name/usr/bin/busybox $name/bin/; }
done
"""
"""What Buildx needs, and one program for each platform, so that a step of the build runs on both."""

EMULATOR = """
cd /proc/sys/fs/binfmt_misc
[ -e register ] || mount -t binfmt_misc binfmt_misc .
cd /proc/sys/fs/binfmt_misc
if [ ! -e qemu-aarch64 ]; then
    # F: the emulator is opened now, since a build's own files have none.
    sed 's/:[^:]*:[A-Z]*$/:/' /usr/lib/binfmt.d/qemu-aarch64.conf | tr -d '\\n' >/run/format
    printf '%s%s:F' "$(cat /run/format)" "$(command -v qemu-aarch64-static)" >register
    touch /run/registered
fi
"""
"""The kernel runs the other platform's programs; as docker/setup-qemu-action does it."""


class Builder:
    def __init__(self, container: str) -> None:
        self.container = container

    def sh(self, script: str, stdin: str | None = None) -> str:
        given = stdin.encode() if stdin is not None else None
        socket = ("-e", "DOCKER_HOST=unix:///run/engine/socket", "-e", "DOCKER_CONFIG=/dev/shm/docker")
        return build.run("exec", "-i", *socket, self.container, "sh", "-ec", script, stdin=given)


@pytest.fixture(scope="module")
def builder(lab: Lab, homes: Environment) -> Iterator[Builder]:
    engine_major = int(build.run("version", "--format", "{{.Server.Version}}").partition(".")[0])
    allowed = hosts.privileges(hosts.capabilities(), engine_major)
    image = f"{images.HOST}:{RELEASE}"
    container = build.run(
        "run", "-d", "--init", "--network", lab.network, *allowed, "--entrypoint", "sleep", image, "3600"
    ).strip()
    try:
        made = Builder(container)
        made.sh(PROGRAMS)
        made.sh(EMULATOR)
        authority = f"/etc/docker/certs.d/{homes.registry_host}/ca.crt"
        trusted = (lab.directory / "registry" / "ca.crt").read_text()
        made.sh(f"install -D /dev/stdin {authority}", trusted)
        made.sh("mkdir /run/engine && cat >/run/engine/config", json.dumps(ENGINE))
        made.sh("dockerd --config-file /run/engine/config >/run/engine/log 2>&1 &")
        end = time.monotonic() + 120
        while True:
            try:
                made.sh("docker info")
                break
            except DeployError:
                assert time.monotonic() < end, made.sh("tail -5 /run/engine/log")
                time.sleep(0.5)
        yield made
        made.sh("[ ! -e /run/registered ] || echo -1 >/proc/sys/fs/binfmt_misc/qemu-aarch64")
    finally:
        build.run("rm", "-f", "-v", container)


def test_one_command_makes_an_image_for_two_platforms_which_another_tag_keeps_whole(
    lab: Lab, homes: Environment, builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, tag = f"ktrdr/try-{secrets.token_hex(4)}", "sha-1111111"
    image = pipeline.OwnImage("try", repository, Path("/try/Dockerfile"), Path("/try"), None)
    name = f"{homes.registry_host}/{repository}:{tag}"
    # This machine's certificates and index are not the container's, and nothing is downloaded.
    monkeypatch.setattr(build, "inputs", lambda arguments, labels: (["--build-arg", f"VERSION={tag}"], {}))
    command, _ = pipeline.buildx(image, [name], "linux/amd64,linux/arm64", {"VERSION": tag})
    at = command.index("type=sbom")
    del command[at - 1 : at + 1]
    builder.sh("cat >/try/Dockerfile", DOCKERFILE)
    builder.sh(f"docker login -u lab --password-stdin {homes.registry_host}", registry_password(lab))
    builder.sh(shlex.join(["docker", *command]))

    registry = pipeline.door(homes).registry
    index = json.loads(registry.manifest(repository, tag)[1])
    platforms = [f"{m['platform']['os']}/{m['platform']['architecture']}" for m in index["manifests"]]
    assert platforms[:2] == ["linux/amd64", "linux/arm64"]
    kinds = [m.get("annotations", {}).get("vnd.docker.reference.type") for m in index["manifests"][2:]]
    assert kinds == ["attestation-manifest"] * 2

    machines = {"amd64": "x86_64", "arm64": "aarch64"}
    for platform, machine in machines.items():
        # Built on it, and run on it.
        builder.sh(f"docker pull -q --platform linux/{platform} {name}")
        ran = f"docker run --rm --platform linux/{platform} {name} /busybox cat /machine"
        assert builder.sh(ran).strip() == machine

    assert registry.tag(repository, tag, "latest") == registry.digest(repository, tag)
    assert registry.digest(repository, "latest") == registry.digest(repository, tag)
