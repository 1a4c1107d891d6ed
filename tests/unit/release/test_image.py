import hashlib
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy_lib.layout import KEEP
from deploy_lib.release.image import Image, any_keep_tag

DIGEST = "sha256:" + "a" * 64
ID = "sha256:" + "b" * 64

# reference, normal form, registry, as `docker images` lists it with a digest, for people
REFERENCES = [
    ("redis", "docker.io/library/redis:latest", "docker.io", "redis", "redis"),
    ("redis:7", "docker.io/library/redis:7", "docker.io", "redis", "redis:7"),
    ("library/redis", "docker.io/library/redis:latest", "docker.io", "redis", "redis"),
    ("docker.io/redis", "docker.io/library/redis:latest", "docker.io", "redis", "redis"),
    ("docker.io/library/redis:7", "docker.io/library/redis:7", "docker.io", "redis", "redis:7"),
    ("index.docker.io/library/redis:7", "docker.io/library/redis:7", "docker.io", "redis", "redis:7"),
    ("index.docker.io/redis", "docker.io/library/redis:latest", "docker.io", "redis", "redis"),
    ("Docker.io/redis:7", "docker.io/library/redis:7", "docker.io", "redis", "redis:7"),
    ("prom/prometheus:v2", "docker.io/prom/prometheus:v2", "docker.io", "prom/prometheus", "prometheus:v2"),
    ("docker.io/prom/x", "docker.io/prom/x:latest", "docker.io", "prom/x", "x"),
    ("ghcr.io/o/x:sha-1", "ghcr.io/o/x:sha-1", "ghcr.io", "ghcr.io/o/x", "x:sha-1"),
    ("ghcr.io/library/x:1", "ghcr.io/library/x:1", "ghcr.io", "ghcr.io/library/x", "x:1"),
    ("docker.io/library/one/two:1", "docker.io/library/one/two:1", "docker.io", "library/one/two", "two:1"),
    ("GHCR.io/o/x:1", "ghcr.io/o/x:1", "ghcr.io", "GHCR.io/o/x", "x:1"),
    ("Registry/o/x:1", "Registry/o/x:1", "Registry", "Registry/o/x", "x:1"),
    ("h:5443/o/x:1", "h:5443/o/x:1", "h:5443", "h:5443/o/x", "x:1"),
    ("h:5443/x", "h:5443/x:latest", "h:5443", "h:5443/x", "x"),
    ("localhost/x:1", "localhost/x:1", "localhost", "localhost/x", "x:1"),
    ("localhost:5000/a/b/c:1", "localhost:5000/a/b/c:1", "localhost:5000", "localhost:5000/a/b/c", "c:1"),
    ("10.0.0.1/x:1", "10.0.0.1/x:1", "10.0.0.1", "10.0.0.1/x", "x:1"),
    ("a.b/c.d:e.f", "a.b/c.d:e.f", "a.b", "a.b/c.d", "c.d:e.f"),
]


@pytest.mark.parametrize(("text", "normal", "registry", "listed", "short"), REFERENCES)
def test_a_reference_has_one_normal_form_and_stays_as_it_was_written(
    text: str, normal: str, registry: str, listed: str, short: str
) -> None:
    image = Image.parse(text)
    assert (str(image), image.normal, image.registry, image.short) == (text, normal, registry, short)
    assert image == Image.parse(normal)
    assert hash(image) == hash(Image.parse(normal))
    assert image.listed_tag == f"{listed}:{image.tag or 'latest'}"
    pinned = image.with_digest(DIGEST)
    assert (str(pinned), pinned.listed) == (f"{text}@{DIGEST}", f"{listed}@{DIGEST}")
    assert Image.parse(str(pinned)) == pinned != image
    assert pinned.short == f"{short} aaaaaaaaaaaa"
    assert pinned.unpinned == image


def test_other_images_are_not_equal() -> None:
    texts = [
        "redis",
        "redis:7",
        "me/redis",
        "ghcr.io/library/redis",
        f"redis@{DIGEST}",
        f"redis:7@{DIGEST}",
        ID,
    ]
    assert len({Image.parse(text) for text in texts}) == len(texts)
    assert Image.parse("redis") != "redis"


def test_what_is_pinned_without_a_tag_has_none_that_a_host_lists() -> None:
    assert Image.parse(f"redis@{DIGEST}").listed_tag == ""
    assert Image.parse(f"redis@{DIGEST}").normal == f"docker.io/library/redis@{DIGEST}"


def test_an_image_without_a_name_is_its_id() -> None:
    image = Image.parse(ID)
    assert (str(image), image.normal, image.listed, image.digest) == (ID, ID, ID, ID)
    assert (image.repository, image.tag, image.registry, image.listed_tag) == ("", "", "", "")
    assert image.short == "bbbbbbbbbbbb"
    assert image.unpinned == image
    assert not image.in_registry("")


@pytest.mark.parametrize(
    ("text", "host", "there"),
    [
        ("ghcr.io/o/x:1", "ghcr.io", True),
        ("GHCR.io/o/x:1", "ghcr.io", True),
        ("ghcr.io.example/o/x", "ghcr.io", False),
        ("h:5443/x", "h:5443", True),
        ("h:5443/x", "h", False),
        ("redis", "docker.io", True),
        ("redis", "index.docker.io", True),
        ("o/x", "o", False),
    ],
)
def test_it_is_known_which_registry_has_it(text: str, host: str, there: bool) -> None:
    assert Image.parse(text).in_registry(host) is there


_word = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)
_host = st.from_regex(r"([a-zA-Z0-9]+\.[a-z]{2,4}|localhost|[a-z]+:[0-9]{1,5})", fullmatch=True)
_tag = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_digest = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@given(
    st.one_of(st.just(""), _host),
    st.lists(_word, min_size=1, max_size=3),
    st.one_of(st.just(""), _tag),
    st.one_of(st.just(""), _digest),
)
def test_every_reference_comes_back_as_it_was_written(
    host: str, path: list[str], tag: str, digest: str
) -> None:
    repository = "/".join([*([host] if host else []), *path])
    text = f"{repository}{f':{tag}' if tag else ''}{f'@{digest}' if digest else ''}"
    image = Image.parse(text)
    assert (image.repository, image.tag, image.digest) == (repository, tag, digest)
    assert str(image) == text
    # The normal form is a reference, too, and its own normal form.
    assert Image.parse(image.normal).normal == image.normal
    assert Image.parse(image.normal) == image


@given(st.text(max_size=80))
def test_no_text_that_a_host_may_give_is_refused(text: str) -> None:
    image = Image.parse(text)
    assert image == image
    assert isinstance(image.short + image.listed + image.normal, str)


def test_protecting_tags_are_those_that_hosts_have_from_before() -> None:
    # sha256 of "prom/prometheus@sha256:aa...", as the first release of this program named it.
    image = Image.parse(f"prom/prometheus:v2@{DIGEST}")
    assert image.keep_tag("core") == "ktrdr-deploy.local/keep:c2c218002960f241-core"
    assert image.keep_tags == Image.parse(f"docker.io/prom/prometheus:v3@{DIGEST}").keep_tags


def test_an_image_has_one_protecting_tag_under_whatever_tag_it_came() -> None:
    one, other = (Image.parse(f"o/x:{tag}@{DIGEST}") for tag in (1, 2))
    assert one.keep_tag("core") == other.keep_tag("core")
    assert Image.parse(DIGEST).keep_tag("core") != Image.parse(ID).keep_tag("core")


def test_each_stack_of_a_host_has_protecting_tags_of_its_own() -> None:
    image = Image.parse(ID)
    tags = {stack: image.keep_tag(stack) for stack in ("core", "core-2", "more-core")}
    assert all(tag.startswith(image.keep_tags) for tag in tags.values())
    for stack, tag in tags.items():
        assert [other for other in tags.values() if fnmatchcase(other, any_keep_tag(stack))] == [tag]


def test_what_an_earlier_program_protected_stays_protected() -> None:
    digest = f"sha256:{'a' * 64}"
    # Its tags were made from the reference as it was written.
    for text, written in (
        (f"docker.io/library/redis:7@{digest}", f"docker.io/library/redis@{digest}"),
        (f"h:5000/k/web:1@{digest}", f"h:5000/k/web@{digest}"),
        ("redis:7", "redis:7"),
        (digest, digest),
    ):
        old = f"{KEEP}:{hashlib.sha256(written.encode()).hexdigest()[:16]}-web"
        assert Image.parse(text).all_keep_tags("web") >= {old, Image.parse(text).keep_tag("web")}


@pytest.mark.parametrize(
    ("text", "place", "below"),
    [
        ("ghcr.io/me/app:1", "ghcr.io/me", True),
        ("GHCR.io/me/app:1", "ghcr.io/me", True),
        ("ghcr.io/me/deep/app", "ghcr.io/me", True),
        ("ghcr.io/meme/app", "ghcr.io/me", False),
        ("ghcr.io/you/app", "ghcr.io/me", False),
        ("me/app", "docker.io/me", True),
        ("redis", "docker.io/me", False),
        ("redis", "", False),
        (f"sha256:{'a' * 64}", "ghcr.io/me", False),
    ],
)
def test_which_images_are_the_projects_own(text: str, place: str, below: bool) -> None:
    assert Image.parse(text).below(place) == below


def test_a_login_is_looked_up_by_the_registry_as_it_is_written() -> None:
    found = {
        text: Image.parse(text).host
        for text in ("H.example:5/x", "redis", "index.docker.io/library/redis", "h/x")
    }
    assert list(found.values()) == ["H.example:5", "docker.io", "docker.io", "docker.io"]
