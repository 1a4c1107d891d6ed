"""Certificates as ssh-keygen makes them, and as nobody may make them."""

from __future__ import annotations

import base64
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy_lib.ssh.certificate import Certificate, parse, rsa_bits

NAME = "a.internal"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name, kind in {
        "ca": "ed25519",
        "ca_rsa": "rsa",
        "ca_ecdsa": "ecdsa",
        "host": "ed25519",
        "host_rsa": "rsa",
        "host_ecdsa": "ecdsa",
    }.items():
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)], check=True)
    return folder


def signed(keys: Path, *options: str, key: str = "host", ca: str = "ca") -> bytes:
    command = ["ssh-keygen", "-q", "-s", str(keys / ca), "-I", "x", *options, str(keys / f"{key}.pub")]
    subprocess.run(command, check=True, capture_output=True)
    return base64.b64decode((keys / f"{key}-cert.pub").read_text().split()[1])


def read(blob: bytes) -> Certificate:
    found = parse(blob)
    assert found is not None
    return found


@pytest.mark.parametrize("key", ["host", "host_rsa", "host_ecdsa"])
@pytest.mark.parametrize("ca", ["ca", "ca_rsa", "ca_ecdsa"])
def test_one_of_each_kind_is_good_for_its_names_alone(keys: Path, key: str, ca: str) -> None:
    proof = read(signed(keys, "-h", "-n", f"{NAME},b.internal", key=key, ca=ca))
    assert proof.problem(NAME, ()) == ""
    assert proof.problem("A.internal", ()) == ""
    assert "it is for a.internal, b.internal" in proof.problem("c.internal", ())
    assert proof.subject == base64.b64decode((keys / f"{key}.pub").read_text().split()[1])
    assert proof.authority == base64.b64decode((keys / f"{ca}.pub").read_text().split()[1])


def test_each_changed_byte_makes_it_worthless(keys: Path) -> None:
    blob = signed(keys, "-h", "-n", NAME)
    for place in range(len(blob)):
        changed = blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        found = parse(changed)
        assert found is None or found.problem(NAME, ())


def test_it_counts_from_its_first_second_to_its_last(keys: Path) -> None:
    proof = read(signed(keys, "-h", "-n", NAME, "-V", "20300101000000Z:20310101000000Z"))
    assert "not valid before" in proof.problem(NAME, (), time.time())
    assert proof.problem(NAME, (), proof.begins) == ""
    assert "expired" in proof.problem(NAME, (), proof.ends)


def test_what_it_is_for_and_how_it_is_signed_count(keys: Path) -> None:
    assert "no certificate for a host" in read(signed(keys, "-n", NAME)).problem(NAME, ())
    assert "CASignatureAlgorithms" in read(signed(keys, "-h")).problem(NAME, ("rsa-sha2-512",))
    assert read(signed(keys, "-h")).problem(NAME, ("ssh-ed25519",)) == ""
    assert "critical options" in read(signed(keys, "-h", "-O", "critical:x=y")).problem(NAME, ())


@given(st.binary(max_size=300))
def test_nonsense_is_no_certificate(blob: bytes) -> None:
    assert parse(blob) is None
    kind = b"ssh-ed25519-cert-v01@openssh.com"
    found = parse(len(kind).to_bytes(4, "big") + kind + blob)
    assert found is None or found.problem(NAME, ())


def test_the_length_of_an_rsa_key_is_known_in_a_certificate_too(keys: Path) -> None:
    plain = base64.b64decode((keys / "host_rsa.pub").read_text().split()[1])
    assert rsa_bits(plain) == rsa_bits(signed(keys, key="host_rsa")) == 3072
    assert rsa_bits(signed(keys)) is None
    assert rsa_bits(b"") is None
