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
from lab.layout import NODES, Lab, create


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = create(tmp_path)
    credentials.make(lab)
    return lab


def content(lab: Lab) -> dict[str, tuple[bytes, int]]:
    files = [path for path in lab.directory.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_making_them_again_changes_nothing(lab: Lab) -> None:
    before = content(lab)
    credentials.make(lab)
    assert content(lab) == before


def test_secrets_fit_the_rules_of_the_vault(lab: Lab) -> None:
    secrets = json.loads(lab.secrets.read_text())
    assert secrets["db_username"] == "ktrdr"
    assert len(secrets["db_password"]) >= 16
    assert len(secrets["jwt_secret"]) >= 32
    assert len(secrets["grafana_password"]) >= 12
    assert secrets["ghcr_token"]


def test_two_labs_share_no_secret(lab: Lab) -> None:
    ours, others = json.loads(lab.secrets.read_text()), credentials.random_secrets()
    assert [key for key in ours if ours[key] == others[key]] == ["db_username"]


def test_private_files_are_their_owners_alone(lab: Lab) -> None:
    private = {path for path in lab.directory.rglob("*") if path.name in ("id", "host_key", "registry.key")}
    assert len(private) == 2 + len(NODES)
    for path in {*private, lab.secrets, lab.directory / "registry" / "htpasswd"}:
        assert path.stat().st_mode & 0o077 == 0, path


def test_keys_are_what_openssh_reads(lab: Lab) -> None:
    key = serialization.load_ssh_private_key((lab.directory / "id").read_bytes(), None)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert (lab.directory / "id.pub").read_bytes().startswith(public)


def test_every_host_is_known_by_a_key_of_its_own(lab: Lab) -> None:
    known = dict(line.split(" ", 1) for line in lab.known_hosts.read_text().splitlines())
    assert set(known) == set(NODES.values())
    assert len(set(known.values())) == len(NODES)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's client")
def test_ssh_reads_the_configuration_as_it_is_meant(lab: Lab) -> None:
    for node, host in NODES.items():
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
    assert user == "lab"
    assert bcrypt.checkpw(password.encode(), hashed.encode())
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    certificate = x509.load_pem_x509_certificate((folder / "registry.crt").read_bytes())
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "registry.ktrdr.internal" in names.get_values_for_type(x509.DNSName)
    assert (credentials.host_folder(lab, "core") / "ca.crt").read_bytes() == (folder / "ca.crt").read_bytes()


def test_a_changed_password_changes_the_registrys_file(lab: Lab) -> None:
    secrets = json.loads(lab.secrets.read_text()) | {"ghcr_token": "another-password"}
    lab.secrets.write_text(json.dumps(secrets))
    credentials.make(lab)
    hashed = (lab.directory / "registry" / "htpasswd").read_text().strip().partition(":")[2]
    assert bcrypt.checkpw(b"another-password", hashed.encode())


def test_no_file_that_a_host_sees_has_a_secret(lab: Lab) -> None:
    values = [Secret(v) for k, v in json.loads(lab.secrets.read_text()).items() if k != "db_username"]
    for node in NODES:
        for path in credentials.host_folder(lab, node).iterdir():
            assert not any(value.reveal() in path.read_text() for value in values), path
