"""Staging: a release's files and images onto a host, beside what runs, with credentials that never rest there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from deploy_lib import layout
from deploy_lib.errors import CommandError, RemoteError
from deploy_lib.host.change.step import Step, script_of
from deploy_lib.host.files import pack
from deploy_lib.host.look.registry import Login
from deploy_lib.host.stack import HostStack
from deploy_lib.release.image import Image
from deploy_lib.shell import IN_MEMORY, ScriptExit, quote, words
from deploy_lib.ssh.session import Session

KEY = "FINGERPRINT_KEY"
PASSWORD = "REGISTRY_PASSWORD"  # noqa: S105 - a variable's name
TIMEOUT = 1800.0


@dataclass(frozen=True)
class Staging:
    """What a host still lacks.

    Attributes:
        uploads: content by its SHA-256.
        saves: SHA-256 by path, of files in the stack's directory that a rollback would need.
        pulls: images, pinned.
        protect: images that get a local tag, so that `docker image prune` does not remove them.
        recover: images of the release before that somebody has removed: pulled again where possible, because without them the
            host could not go back.
    """

    uploads: Mapping[str, bytes] = field(default_factory=dict)
    saves: Mapping[str, str] = field(default_factory=dict)
    pulls: Sequence[Image] = ()
    protect: Sequence[Image] = ()
    recover: Sequence[Image] = ()


def stage(session: Session, stack: HostStack, staging: Staging, login: Login | None, key: str) -> None:
    """Brings a release's files and images to the host; nothing that runs is touched.

    Args:
        login: used when one of the images is in its registry.
        key: the key of the secrets' fingerprints, written when the host has none yet.

    Raises:
        RemoteError: no space, no permission, a refused login, or an image that cannot be pulled.
    """
    needed = needed_login(staging, login)
    try:
        session.run(
            staging_script(stack, staging, needed),
            env={KEY: key, **({PASSWORD: needed.password.reveal()} if needed else {})},
            stdin=pack(staging.uploads),
            timeout=TIMEOUT,
            step="pull" if staging.pulls or staging.recover else "staging files",
        )
    except CommandError as error:
        if needed is None or error.code != ScriptExit.LOGIN_FAILED:
            raise
        _, _, words = error.what.partition("\n")
        raise RemoteError(
            f"the login at {needed.host} failed\n{words}",
            step="pull",
            hint="does the registry answer, and is its token still good?",
        ) from None


def needed_login(staging: Staging, login: Login | None) -> Login | None:
    """The login, when one of the images is in its registry."""
    pulls = (*staging.pulls, *staging.recover)
    return login if login is not None and any(login.covers(image) for image in pulls) else None


def log_in(login: Login | None) -> str:
    """Shell text that logs in with a configuration in `$t`, which is memory and gone with the script.

    The password is read from the environment, and removed from it.
    """
    if login is None:
        return f"unset {PASSWORD}"
    return f"""\
for p in "$HOME/.docker/cli-plugins"; do [ ! -d "$p" ] || ln -s "$p" "$t/cli-plugins"; done
export DOCKER_CONFIG=$t
printf %s "${PASSWORD}" | docker login --username {quote(login.username)} --password-stdin {quote(login.host)} \\
  >/dev/null 2>"$t/err" || {{ cat "$t/err" >&2; exit {ScriptExit.LOGIN_FAILED}; }}
unset {PASSWORD}"""


def staging_script(stack: HostStack, staging: Staging, login: Login | None) -> str:
    """The script of `stage`: files from standard input, the registry password from the environment."""
    return IN_MEMORY + script_of(staging_steps(stack, staging, login))


def staging_steps(stack: HostStack, staging: Staging, login: Login | None) -> list[Step]:
    """What staging does on the host.

    Args:
        login: see `needed_login`.
    """
    steps = [Step(line) for line in _file_lines(stack, staging)]
    shown = (
        [words("docker", "login", "--username", login.username, "--password-stdin", login.host)]
        if login
        else []
    )
    steps.append(Step(log_in(login), tuple(shown)))
    pulled = [image for image in staging.protect if image in staging.pulls]
    steps += [Step(_protect(stack, image)) for image in staging.protect if image not in pulled]
    for image in staging.pulls:
        # At once, so that the image can be pruned even if something fails later: only images with this tag are.
        steps += [_pull(image), *([Step(_protect(stack, image))] if image in pulled else [])]
    for image in staging.recover:
        pull = _pull(image)
        steps.append(replace(pull, text=f"{pull.text} && {_protect(stack, image)} || true"))
    return steps


def _file_lines(stack: HostStack, staging: Staging) -> list[str]:
    directory = stack.directory
    objects, key = quote(directory / layout.OBJECTS), quote(directory / layout.KEY)
    return [
        "set -e",
        # An upload that was cut short, also by a full disk, must not count as a file's content.
        f"rm -rf {objects}.new && mkdir -p {objects} {objects}.new",
        # tar says "wrote only", not why.
        f"tar -xpf - --no-same-owner -C {objects}.new || "
        f"{{ r=$?; echo 'the files could not be written; their disk:' >&2; df -Ph {objects}.new >&2; "
        f"rm -rf {objects}.new; exit $r; }}",
        f"cd {quote(directory)}",
        *(
            f'[ "$(sha256sum < {quote(path)})" != {quote(f"{digest}  -")} ] || cp -- {quote(path)} {objects}.new/{digest}'
            for path, digest in staging.saves.items()
        ),
        f"sync {objects}.new",
        f'for x in {objects}.new/*; do [ ! -e "$x" ] || mv -f "$x" {objects}/; done; rmdir {objects}.new',
        # `set -e` does not see a failure to the right of `||` by itself.
        f'[ -s {key} ] || {{ printf %s "${KEY}" > {key}.new && mv {key}.new {key}; }} || exit; unset {KEY}',
    ]


def _pull(image: Image) -> Step:
    # The output of a pull is progress for people; what went wrong is on standard error.
    return Step(f"docker pull --quiet {quote(image)} >/dev/null", (words("docker", "pull", image),))


def _protect(stack: HostStack, image: Image) -> str:
    return f"docker tag {quote(image.listed)} {quote(image.keep_tag(stack.name))}"
