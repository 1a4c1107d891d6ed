"""What a stack's Compose files refer to, so that it can be shipped; read before any host is asked.

Compose takes a relative path from the project directory; in an included file from that one's own project directory, and in a
file that a service extends from that file's folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from deploy_lib.compose.env_file import read_env_file
from deploy_lib.compose.interpolation import filled
from deploy_lib.compose.limits import is_bind
from deploy_lib.compose.reading import Replaced, load_marked
from deploy_lib.compose.reference import OWNERS, Kind, Place, Reference
from deploy_lib.compose.referred import Read, Referred
from deploy_lib.errors import UsageError


class References(Struct):
    """What was found.

    Attributes:
        found: each path once for each service that names it.
        unknown: what is named with a variable that has no value here, in words.
        services: the names of all services, those of included files and of profiles that are not active, too.
        folders: project directories that included files are given. Compose takes one that is not there for the one above.
    """

    found: list[Reference] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def references(files: Iterable[tuple[str, bytes]], read: Read, values: Mapping[str, str]) -> References:
    """What a stack's Compose files refer to, those included that they include or extend.

    Args:
        files: the files that Compose is given, in their order: as an operator knows them, with their content.
        read: see `Read`.
        values: variables, as far as they are known.

    Raises:
        UsageError: a file is no Compose file, or one that it includes is missing.
    """
    reader = _Reader(read)
    for name, content in files:
        reader.file(Place(name, "", values), content)
    return reader.result()


class _Reader:
    def __init__(self, read: Read) -> None:
        self.kept = Referred(read)
        self.begun: list[tuple[str, ...]] = []
        self.names: set[str] = set()
        self.folders: set[str] = set()

    def result(self) -> References:
        self.defined()
        unknown = list(dict.fromkeys(self.kept.unknown))
        return References(self.kept.references, unknown, sorted(self.names), sorted(self.folders))

    def file(self, place: Place, content: bytes) -> None:
        for document in load_marked(content, place.name):
            if document is None:
                continue
            if not isinstance(document, dict):
                raise UsageError(f"{place.name} is no Compose file")
            # What the same file includes comes after what its tags have replaced.
            for what in OWNERS:
                if isinstance(document.get(what), Replaced):
                    self.kept.forget(what)
                    self.names = set() if what == "services" else self.names
            for entry in _list(document.get("include")):
                self.include(place, entry)
            for name, service in _table(document.get("services")).items():
                self.service(place, str(name), service)
                gone = isinstance(service, Replaced) and not isinstance(service.value, dict)
                self.names = self.names - {str(name)} if gone else {*self.names, str(name)}
            for what in OWNERS[1:]:
                self.kept.define(place, (what,), _table(document.get(what)))

    def include(self, place: Place, entry: Any) -> None:
        spec = entry if isinstance(entry, dict) else {"path": entry}
        paths = self.paths(place, spec.get("path"), "which it includes")
        if not paths:
            return
        folder = self.kept.path(place, spec.get("project_directory"), "the project directory of an include")
        self.folders |= {folder} if folder else set()
        folder = folder or posixpath.dirname(paths[0][1]) or "."
        values, what = dict[str, str](), "the env_file of an include"
        given = _list(spec.get("env_file"))
        usual = paths[0][0], posixpath.normpath(posixpath.join(folder, ".env"))
        for text, path in self.paths(place, given, what) if given else [usual]:
            content = self.kept.read(path)
            self.kept.keep(("env", path), place, path, what, "input", bool(given), line=text)
            values |= read_env_file(content or b"", {**values, **place.values})
        values |= place.values
        for text, path in paths:
            content = self.kept.required(place, path, "which it includes", line=text)
            step = ("include", path)
            if step in self.begun:
                raise UsageError(f"{place.where(text)}: {path} includes itself")
            self.begun.append(step)
            self.file(Place(place.inner(path), "" if folder == "." else folder, values), content)
            self.begun.pop()

    def paths(self, place: Place, entries: Any, what: str) -> list[tuple[Any, str]]:
        """The texts that name paths below the project directory, each with its path."""
        return [(each, path) for each in _list(entries) if (path := self.kept.path(place, each, what))]

    def service(self, place: Place, name: str, spec: Any) -> None:
        if isinstance(spec, Replaced):
            self.kept.forget("services", name)
            spec = spec.value
        if not isinstance(spec, dict):
            return
        self.extends(place, name, spec.get("extends"))
        for key in ("env_file", "label_file"):
            value = self.kept.replacing(name, key, spec.get(key))
            for entry in _list(value):
                path = entry.get("path") if isinstance(entry, dict) else entry
                needed = not (isinstance(entry, dict) and entry.get("required") is False)
                what = f"the {key} of {name}"
                if (at := self.kept.path(place, path, what)) is not None:
                    self.kept.keep(("services", name, key, at), place, at, what, "input", needed, line=path)
        for entry in _list(self.kept.replacing(name, "volumes", spec.get("volumes"))):
            self.mount(place, name, entry)
        for entry in _list(self.kept.replacing(name, "security_opt", spec.get("security_opt"))):
            key, _, path = str(entry).replace("=", ":", 1).partition(":")
            if key == "seccomp" and path not in ("unconfined", "builtin", ""):
                what = f"the seccomp profile of {name}"
                self.kept.refer(("services", name, "security_opt"), place, path, what, "input", line=entry)

    def extends(self, place: Place, name: str, value: Any) -> None:
        if not isinstance(value, dict) or not value.get("file"):
            return
        what = f"which {name} extends"
        path = self.kept.path(place, value["file"], what)
        if path is None:
            return
        content = self.kept.required(place, path, what, line=value["file"])
        step = ("extends", path, str(value.get("service")))
        if step in self.begun:
            raise UsageError(f"{place.where(value['file'])}: {name} extends itself")
        self.begun.append(step)
        inner = Place(place.inner(path), posixpath.dirname(path), place.values)
        for document in load_marked(content, inner.name):
            services = _table(document.get("services")) if isinstance(document, dict) else {}
            self.extended(inner, name, str(value.get("service")), services)
        self.begun.pop()

    def extended(
        self, place: Place, name: str, base: str, services: Mapping[Any, Any], depth: int = 0
    ) -> None:
        """A service of an extended file, and those of that file which it extends in turn."""
        spec = services.get(base)
        if not isinstance(spec, dict) or depth > len(services):
            return
        further = spec.get("extends")
        if isinstance(further, str) or (isinstance(further, dict) and not further.get("file")):
            other = further if isinstance(further, str) else str(further.get("service"))
            self.extended(place, name, other, services, depth + 1)
        self.service(place, name, spec)

    def mount(self, place: Place, name: str, entry: Any) -> None:
        what, needed = f"which {name} mounts", True
        if isinstance(entry, dict):
            source, target = entry.get("source"), str(entry.get("target"))
            bind, line = entry.get("bind"), source
            needed = not (isinstance(bind, dict) and bind.get("create_host_path") is True)
            at = self.kept.path(place, source, what) if entry.get("type") == "bind" else None
        else:
            text, line = filled(str(entry), place.known), entry
            if text is None:
                if str(entry).startswith((".", "$")):
                    self.kept.leave_unknown(place, entry, what)
                return
            source, _, rest = text.partition(":")
            target = rest.partition(":")[0] or source
            # What begins otherwise is a volume, or the host's own path.
            at = place.at(source, entry) if rest and source.startswith(".") else None
        key = ("services", name, "volumes", target)
        self.kept.drop(key)
        if at is not None:
            self.kept.keep(key, place, at, what, "mount", needed, line=line)

    def defined(self) -> None:
        """What configs, secrets and volumes refer to, as all files together define them."""
        for key, (place, text) in self.kept.definitions.items():
            match key:
                case ("configs" | "secrets" as what, name, "file"):
                    kind: Kind = "secret" if what == "secrets" else "mount"
                    said = f"the file of the {what.removesuffix('s')} {name}"
                    self.kept.refer((what, name), place, text, said, kind)
                case ("volumes", name, "driver_opts", "device"):
                    _, options = self.kept.definitions.get((*key[:3], "o"), (place, ""))
                    if is_bind({"o": options}):
                        said = f"the directory of the volume {name}"
                        self.kept.refer(("volumes", name), place, text, said, "mount")


def _list(value: Any) -> list[Any]:
    value = value.value if isinstance(value, Replaced) else value
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _table(value: Any) -> Mapping[Any, Any]:
    value = value.value if isinstance(value, Replaced) else value
    return value if isinstance(value, dict) else {}
