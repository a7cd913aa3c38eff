"""mailcfg check: the certificate, with real ones."""

import os
import subprocess
import time
import types

import pytest

from amsmail.setup.doctor import tls
from amsmail.setup.doctor.world import World

from .doctor import levels, only

DAY = 86400


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A key, certificates made with it, one more key, and a certificate that an authority signed."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("key", "other"):
        openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.pem")
    anew = ("req", "-x509", "-key", "key.pem", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:*.yacht.example")
    openssl(folder, *anew, "-days", "30", "-out", "good.pem")
    openssl(folder, *anew, "-days", "30", "-addext", "extendedKeyUsage=clientAuth", "-out", "client.pem")
    openssl(folder, "req", "-new", "-key", "key.pem", "-subj", "/CN=mail.yacht.example", "-out", "request")
    openssl(folder, "x509", "-req", "-in", "request", "-signkey", "key.pem", "-days", "0", "-out", "expired.pem")
    openssl(folder, "req", "-x509", "-key", "other.pem", "-subj", "/CN=authority", "-days", "30", "-out", "ca.pem")
    openssl(folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "other.pem", "-CAcreateserial",
            "-days", "30", "-out", "signed.pem")
    openssl(folder, "ec", "-in", "key.pem", "-aes128", "-passout", "pass:secret", "-out", "locked.pem")
    openssl(folder, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "short.pem")
    openssl(folder, "req", "-x509", "-key", "short.pem", "-subj", "/CN=x", "-out", "weak.pem")
    (folder / "text.pem").write_text("of a person\n")
    os.mkfifo(folder / "fifo.pem")
    (folder / "zero.pem").symlink_to("/dev/zero")
    return folder


def found(folder, name, key="key", hostname="mail.yacht.example", later=0):
    site = types.SimpleNamespace(certificate=name and str(folder / f"{name}.pem"), key=str(folder / f"{key}.pem"),
                                 hostname=hostname)
    return list(tls.certificate(site, World(clock=lambda: time.time() + later)))


@pytest.mark.parametrize("name", ["good", "signed"])
def test_one_that_is_fine(folder, name):
    assert "is valid until" in only(found(folder, name), "fine").found


def test_none(folder):
    assert "only clients in cleartext_login_from" in only(found(folder, ""), "note").found


def test_one_that_has_expired(folder):
    assert "expired on" in only(found(folder, "expired", later=1), "wrong").found
    assert "expired on" in only(found(folder, "good", later=31 * DAY), "wrong").found


def test_one_that_expires_soon(folder):
    assert "expires on" in only(found(folder, "good", later=20 * DAY), "note").found
    assert levels(found(folder, "good", later=15 * DAY)) == ["fine"]


def test_one_that_is_not_yet_valid_may_be_the_clock(folder):
    finding = only(found(folder, "good", later=-DAY), "wrong")
    assert "not valid before" in finding.found and "clock" in finding.remedy


def test_another_ones_key(folder):
    finding = only(found(folder, "good", key="other"), "wrong")
    assert "TLS cannot be offered" in finding.found and "the key made with it" in finding.remedy


def test_a_file_that_is_none(folder):
    assert "TLS cannot be offered" in only(found(folder, "key"), "wrong").found


def test_one_that_does_not_name_the_host(folder):
    finding = only(found(folder, "good", hostname="mail.ship.example"), "note")
    assert "does not name mail.ship.example" in finding.found and "DNS:mail.ship.example" in finding.remedy


def test_one_that_mail_programs_refuse(folder):
    assert "would refuse" in only(found(folder, "client"), "wrong").found


@pytest.mark.parametrize("certificate, key, words", [
    ("good", "key", ""),
    ("signed", "key", ""),
    ("good", "other", "{key} is not the key made with the certificate {certificate}"),
    ("good", "short", "{key} is not the key made with the certificate {certificate}"),       # of another kind
    ("text", "key", "{certificate} holds no certificate in PEM"),
    ("key", "key", "{certificate} holds no certificate in PEM"),
    ("good", "text", "{key} holds no key in PEM that can be used without a password"),
    ("good", "locked", "{key} holds no key in PEM that can be used without a password"),
    ("weak", "short", "OpenSSL refuses {certificate} with {key}: EE_KEY_TOO_SMALL"),
    ("nosuch", "key", "{certificate} cannot be read: No such file or directory"),
    ("good", "nosuch", "{key} cannot be read: No such file or directory"),
    ("fifo", "key", "{certificate} is no regular file"),
    ("good", "fifo", "{key} is no regular file"),
    ("zero", "key", "{certificate} is no regular file"),
])
def test_what_is_wrong_with_the_two_files_is_said_of_the_one_that_it_is(folder, certificate, key, words):
    paths = {"certificate": str(folder / f"{certificate}.pem"), "key": str(folder / f"{key}.pem")}
    said = f"TLS cannot be offered: {words.format(**paths)}" if words else ""
    assert tls.problem(**paths) == said
    assert [each.found for each in found(folder, certificate, key) if each.level == "wrong"] == [said] * bool(words)


def test_one_that_mail_programs_refuse_is_a_problem(folder):
    assert "would refuse the certificate" in tls.problem(str(folder / "client.pem"), str(folder / "key.pem"))
