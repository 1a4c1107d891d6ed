"""Which files a stack's directory has where this program may have put something: their content, modes and owners."""

from __future__ import annotations

import re

from deploy_lib import layout
from deploy_lib.host.stack import HostStack
from deploy_lib.release.files import FOLDER, PLAIN, file_mark, link_mark
from deploy_lib.shell import quote, words


def functions(stack: HostStack) -> str:
    """Shell functions `files`, see `read_marks`, and `loose`, which says what others could change, in the lines of `strangers`.

    They take THERE and TRUST.
    """
    return _paths(stack) + _files(stack) + _loose(stack)


def _paths(stack: HostStack) -> str:
    """Shell function `paths`: every path, below the directory that it runs in, where this program may have put something.

    Those that releases have put there stand in a file; a host of an earlier version has none, and all that it has is what is
    named. Of a directory that is shipped whole, what others have put there is theirs.
    """
    known = "\n".join(stack.paths)
    data = "".join(f" -path {quote(f'./{path}')} -prune -o" for path in stack.settings.data)
    # Earlier releases may have shipped these.
    theirs = [rf"/{_escaped(name)}$" for name in layout.PLACEHOLDERS]
    theirs += [rf"^{_escaped(path)}/" for path in stack.settings.data]
    kept = "".join(rf"; \|{each}|d" for each in theirs)
    return f"""\
paths() {{
  {{
    cat <<'=PATHS='
{known}
=PATHS=
    if [ -O {layout.STATE} ] && [ -f {layout.PATHS} ]; then cat {layout.PATHS}; fi
    for x in {words(*stack.named)}; do
      if [ -d "$x" ] && [ ! -L "$x" ]; then find "./$x"{data} '(' -type f -o -type l ')' -user "$me" -print 2>/dev/null
      else printf '%s\\n' "$x"; fi
    done
  }} | sed 's|^\\./||; /^$/d; /\\.deploy-new$/d{kept}' | sort -u
}}
paths=$(cd {quote(stack.directory)} 2>/dev/null && paths)
# those KIND: the paths that are a file (f), a link (l) or a directory (d), each with ./ before it.
those() {{
  printf '%s\\n' "$paths" | while IFS= read -r x; do
    x=./$x
    if [ -L "$x" ]; then k=l; elif [ -f "$x" ]; then k=f; elif [ -d "$x" ]; then k=d; else k=; fi
    [ "$k" != "$1" ] || printf '%s\\n' "$x"
  done
}}
"""


def _escaped(text: str) -> str:
    """For a regular expression of `sed` between bars, within single quotes."""
    return re.sub(r"[].*^$[|\\]", r"\\\g<0>", text).replace("'", ".")


def _files(stack: HostStack) -> str:
    """Shell function `files`: what lies at those paths."""
    home = quote(stack.directory)
    return f"""\
files() {{
  there {home} || {{ [ $? = 1 ]; return; }}
  cd {home} || return
  # What is neither there nor surely absent makes all of it unknown.
  printf '%s\\n' {layout.PATHS} "$paths" | {{
    r=0
    while IFS= read -r x; do
      [ -e "./$x" ] || [ -L "./$x" ] || {{ there "./$x"; [ $? != 2 ] || r=1; }}
    done
    [ $r = 0 ]
  }} || return
  those l | while IFS= read -r x; do printf 'link %s\\t%s\\n' "$x" "$(readlink "$x")"; done
  those d | while IFS= read -r x; do
    [ -n "$(ls -A "$x" 2>&1)" ] && printf 'occupied %s\\n' "$x" || printf 'directory %s\\n' "$x"
  done
  those f | tr '\\n' '\\0' | xargs -0 -r stat -c 'mode %a %n' || return
  those f | tr '\\n' '\\0' | xargs -0 -r sha256sum
}}
"""


_OWN = "; where a container has made it its own, name it in `data` of deploy.toml"


def _loose(stack: HostStack) -> str:
    directory, home = stack.directory, quote(stack.directory)
    return f"""\
# mine_of CONDITION: which of this program's paths, and of the directories that they lie in, `find` says that of. Whose other
# files are does not matter.
mine_of() {{
  {{ those f; printf '%s\\n' "$paths" | grep / | sed 's|^|./|; s|/[^/]*$||'; }} | sort -u | while IFS= read -r x; do
    while [ "$x" != . ]; do [ ! -e "$x" ] || printf '%s\\n' "$x"; x=${{x%/*}}; done
  done | sort -u | tr '\\n' '\\0' | xargs -0 -r sh -c "find \\"\\$@\\" -prune $* -print" sh 2>/dev/null
}}
loose() {{
  if [ -d {home} ] && cd {home}; then
    mine_of ! -user "$me" ! -user 0 | while IFS= read -r x; do
      printf '%s belongs to another user\\t%s\\n' {home}"/${{x#./}}" "as root: chown $(id -un) {directory}/${{x#./}}$( [ ! -d "$x" ] || printf '%s' {quote(_OWN)} )"
    done
    mine_of ! -type l -perm /022 | while IFS= read -r x; do
      printf '%s can be changed by others\\t%s\\n' {home}"/${{x#./}}" "chmod go-w {directory}/${{x#./}}"
    done
  fi
}}
"""


_FILE = re.compile(
    r"""mode\ (?P<mode>[0-7]+)\ \./(?P<file>.+)
    | link\ \./(?P<link>[^\t]+)\t(?P<target>.+)
    | (?P<kind>directory|occupied)\ \./(?P<folder>.+)
    | \\?(?P<digest>[0-9a-f]+)\ \ \./(?P<path>.+)""",
    re.VERBOSE,
)


def read_marks(said: str) -> tuple[dict[str, str], frozenset[str]]:
    """The mark of what lies at each path, and which directories have something in them.

    Args:
        said: what `files` has printed.

    Raises:
        ValueError: it is something else.
    """
    modes: dict[str, int] = {}
    found: dict[str, str] = {}
    occupied: set[str] = set()
    # A name may have what only Python takes for the end of a line.
    for line in said.split("\n"):
        if not line.strip():
            continue
        match = _FILE.fullmatch(line)
        if match is None:
            raise ValueError
        if match["file"]:
            modes[match["file"]] = int(match["mode"], 8)
        elif match["link"]:
            found[match["link"]] = link_mark(match["target"])
        elif match["folder"]:
            found[match["folder"]] = FOLDER
            occupied |= {match["folder"]} if match["kind"] == "occupied" else set()
        else:
            found[match["path"]] = file_mark(match["digest"], modes.get(match["path"], PLAIN))
    return found, frozenset(occupied)
