"""Pruning: what no rollback could need any more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from deploy_lib.operations import layout
from deploy_lib.operations.references import KEEP, keep_tag
from deploy_lib.operations.shell import quote, words
from deploy_lib.release import Release


def script(directory: PurePosixPath, kept: Iterable[Release]) -> str:
    """Shell text that removes files and images of releases other than `kept`; it goes on over what cannot be removed.

    Only images that this program has protected are removed, and never one that a container uses.
    """
    kept = list(kept)
    files = sorted({digest for release in kept for digest in release.files.values()})
    tags = sorted({keep_tag(image) for release in kept for image in release.images.values()})
    return f"""\
for x in {quote(directory / layout.OBJECTS)}/*; do
  case " {" ".join(files)} " in *" ${{x##*/}} "*) ;; *) rm -f -- "$x";; esac
done
for x in $(docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' {quote(KEEP)}); do
  case " {words(*tags)} " in
    *" $x "*) ;;
    *) i=$(docker image inspect -f '{{{{.Id}}}}' "$x") && docker rmi "$x" >/dev/null && docker rmi "$i" >/dev/null 2>&1;;
  esac
done
true
"""
