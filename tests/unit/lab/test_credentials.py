import json
import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from deploy_lib.secrets.value import Secret
from lab import credentials
from lab.layout import Lab, create
from lab.project import read

from .sample import LAB, sample, write


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    write(tmp_path)
    lab = create(tmp_path, lambda _: None)
    credentials.make(lab)
    return lab


def content(lab: Lab) -> dict[str, tuple[bytes, int]]:
    files = [path for path in lab.directory.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_making_them_again_changes_nothing(lab: Lab) -> None:
    before = content(lab)
    credentials.make(lab)
    assert content(lab) == before


def test_secrets_keep_the_rules_of_deploy_toml(lab: Lab) -> None:
    secrets = json.loads(lab.secrets.read_text())
    assert set(secrets) == {"user", "password", "pull"}
    assert len(secrets["password"]) >= 40
    assert len(secrets["pull"]) >= 16


def test_a_user_name_is_not_random(lab: Lab) -> None:
    assert json.loads(lab.secrets.read_text())["user"] == "lab"


def test_lab_toml_gives_values_that_must_not_be_random(tmp_path: Path) -> None:
    project = sample(tmp_path, LAB + "[secrets]\nuser = 'somebody'\n")
    assert credentials.random_secrets(project)["user"] == "somebody"


def test_two_names_of_one_field_have_a_value_that_is_long_enough_for_both(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "deploy.toml"
    more = '[secrets]\nA = { field = "one", min_length = 60 }\nB = { field = "one" }\n'
    path.write_text(path.read_text().replace("[secrets]\n", more))
    assert len(credentials.random_secrets(read(tmp_path))["one"]) >= 60


def test_a_secret_that_deploy_toml_gets_later_is_added_and_the_others_stay(lab: Lab, tmp_path: Path) -> None:
    before = json.loads(lab.secrets.read_text())
    path = tmp_path / "deploy.toml"
    path.write_text(path.read_text().replace("[secrets]\n", '[secrets]\nNEW = { field = "new" }\n'))
    credentials.make(create(tmp_path, lambda _: None))
    after = json.loads(lab.secrets.read_text())
    assert after.pop("new")
    assert after == before


def test_two_labs_share_no_secret(lab: Lab) -> None:
    ours, others = json.loads(lab.secrets.read_text()), credentials.random_secrets(lab.project)
    assert [key for key in ours if ours[key] == others[key]] == ["user"]


def test_private_files_are_their_owners_alone(lab: Lab) -> None:
    private = {path for path in lab.directory.rglob("*") if path.name in ("id", "host_key", "registry.key")}
    assert len(private) == 2 + len(lab.machines)
    for path in {*private, lab.secrets, lab.directory / "registry" / "htpasswd"}:
        assert path.stat().st_mode & 0o077 == 0, path


def test_keys_are_what_openssh_reads(lab: Lab) -> None:
    key = serialization.load_ssh_private_key((lab.directory / "id").read_bytes(), None)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert (lab.directory / "id.pub").read_bytes().startswith(public)


def test_every_host_is_known_by_a_key_of_its_own(lab: Lab) -> None:
    known = dict(line.split(" ", 1) for line in lab.known_hosts.read_text().splitlines())
    assert set(known) == {"front.sample.internal", "back.sample.internal"}
    assert len(set(known.values())) == 2


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's client")
def test_ssh_reads_the_configuration_as_it_is_meant(lab: Lab) -> None:
    for node, host in (("front", "front.sample.internal"), ("back", "back.sample.internal")):
        said = subprocess.run(
            ["ssh", "-G", "-F", str(lab.ssh_config), host], capture_output=True, text=True, check=True
        ).stdout
        read = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
        assert (read["hostname"], read["port"]) == ("127.0.0.1", str(lab.ports[f"{node}:22"]))
        assert (read["user"], read["hostkeyalias"]) == ("root", host)
        assert read["stricthostkeychecking"] == "true"
        assert read["identityfile"] == str(lab.directory / "id")
        assert read["userknownhostsfile"] == str(lab.known_hosts)


def test_the_registry_lets_its_user_in_and_hosts_can_verify_it(lab: Lab) -> None:
    folder = lab.directory / "registry"
    user, _, hashed = (folder / "htpasswd").read_text().strip().partition(":")
    password = credentials.registry_password(lab)
    assert user == "reader"
    assert bcrypt.checkpw(password.encode(), hashed.encode())
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    certificate = x509.load_pem_x509_certificate((folder / "registry.crt").read_bytes())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "registry.sample.internal" in names.get_values_for_type(x509.DNSName)
    assert (credentials.host_folder(lab, "front") / "ca.crt").read_bytes() == (folder / "ca.crt").read_bytes()


def test_a_changed_password_changes_the_registrys_file(lab: Lab) -> None:
    secrets = json.loads(lab.secrets.read_text()) | {"pull": "another-password"}
    lab.secrets.write_text(json.dumps(secrets))
    credentials.make(lab)
    hashed = (lab.directory / "registry" / "htpasswd").read_text().strip().partition(":")[2]
    assert bcrypt.checkpw(b"another-password", hashed.encode())


def test_no_file_that_a_host_sees_has_a_secret(lab: Lab) -> None:
    values = [Secret(v) for k, v in json.loads(lab.secrets.read_text()).items() if k != "user"]
    for host in lab.machines:
        for path in credentials.host_folder(lab, host.node).iterdir():
            assert not any(value.reveal() in path.read_text() for value in values), path


def test_a_registry_of_another_name_gets_another_certificate(lab: Lab, tmp_path: Path) -> None:
    folder = lab.directory / "registry"
    before = (folder / "registry.crt").read_bytes()
    path = tmp_path / "deploy.toml"
    path.write_text(path.read_text().replace("registry.sample.internal", "images.sample.internal"))
    credentials.make(create(tmp_path, lambda _: None))
    assert (folder / "registry.crt").read_bytes() != before
    assert credentials.is_certificate_of(folder / "registry.crt", "images.sample.internal")
