"""mailcfg check: who may read and write what."""

import os
import pwd

import pytest

from amsmail.setup.doctor import rights
from tests.real.process import public_folder

from .doctor import Owned, as_root, as_user, levels, only


@pytest.fixture
def site():
    with public_folder() as folder:
        yield Owned(folder / "site")


def with_certificate(site, certificate):
    """The site with a certificate and a key that its user may read."""
    folder = site.path.parent
    for name, source in ("cert.pem", certificate.path), ("key.pem", certificate.key):
        (folder / name).write_bytes(source.read_bytes())
        (folder / name).chmod(0o640)
        os.chown(folder / name, -1, site.user.pw_gid)
    site.configure(tls={"certificate": folder / "cert.pem", "key": folder / "key.pem"})
    return folder / "key.pem"


def test_all_is_fine(site, certificate):
    assert levels(site.found(rights.files)) == ["fine"]
    with_certificate(site, certificate)
    assert "the certificate and its key" in only(site.found(rights.files), "fine").found
    assert f"belong to user {site.user.pw_name}" in only(site.found(rights.spool), "fine").found


def test_mail_cfg_that_its_user_cannot_read(site):
    as_root("make a file that another user cannot read")
    os.chown(site.path, 0, 0)
    finding = only(site.found(rights.files), "wrong")
    assert f"user {site.user.pw_name}" in finding.found and finding.remedy.endswith(f"chmod g+r {site.path}")
    os.chown(site.path, 0, site.user.pw_gid)
    folder = site.path.parent
    folder.chmod(0o700)
    finding = only(site.found(rights.files), "wrong")
    assert f"the mode of {folder}" in finding.found and f"chmod g+rx {folder}" in finding.remedy


def test_a_key_that_its_user_cannot_read(site, certificate):
    as_root("make a file that another user cannot read")
    key = with_certificate(site, certificate)
    os.chown(key, 0, 0)
    finding = only(site.found(rights.files), "wrong")
    assert f"cannot read {key}" in finding.found and site.user.pw_name in finding.found


def test_a_key_that_all_can_read(site, certificate):
    key = with_certificate(site, certificate)
    key.chmod(0o644)
    assert f"chmod o= {key}" in only(site.found(rights.files), "wrong").remedy


def test_what_an_ordinary_user_cannot_see_is_said(site):
    loaded, world = site.site, site.world()
    os.chmod(site.spool.path, 0o751)
    findings = as_user(pwd.getpwnam("nobody"), lambda: rights.spool(loaded, world))
    assert "run this as root" in only(findings, "note").remedy
    site.path.parent.chmod(0o750)
    os.chown(site.path.parent, 0, 0)
    findings = as_user(pwd.getpwnam("nobody"), lambda: rights.files(loaded, world))
    assert findings == []           # the spool is not to be seen


def test_a_key_that_an_ordinary_user_cannot_see(site, certificate):
    as_root("give a folder to another user")
    key = with_certificate(site, certificate)
    closed = key.parent / "closed"
    closed.mkdir(0o700)
    os.chown(closed, site.user.pw_uid, site.user.pw_gid)
    loaded, world = site.site, site.world()
    loaded.key = str(key.rename(closed / "key.pem"))
    findings = as_user(pwd.getpwnam("nobody"), lambda: rights.files(loaded, world))
    assert levels(findings) == ["note"] and f"may read {loaded.key} cannot be seen" in findings[0].found


class TestSpool:
    def test_is_not_there(self, tmp_path):
        site = Owned(tmp_path / "site")
        os.rename(site.spool.path, tmp_path / "elsewhere")
        assert f"-m 0750 {site.spool.path}" in only(site.found(rights.spool), "wrong").remedy
        assert levels(site.found(rights.files)) == []

    def test_belongs_to_root(self, site):
        as_root("have a spool of root's")
        os.chown(site.spool.path, 0, 0)
        findings = [f for f in site.found(rights.spool) if "belongs to root" in f.found]
        assert "chown -R amsmail" in only(findings, "wrong").remedy

    def test_is_open_to_others(self, site):
        os.chmod(site.spool.path, 0o755)
        assert only(site.found(rights.spool), "wrong").remedy == f"chmod o= {site.spool.path}"

    def test_may_not_be_written_by_its_user(self, site):
        os.chmod(site.spool.path, 0o550)
        finding = only(site.found(rights.spool), "wrong")
        os.chmod(site.spool.path, 0o750)
        assert "its mode is 0550" in finding.found

    def test_has_files_of_root_who_ran_something_by_hand(self, site):
        as_root("leave files of root's")
        os.chown(os.path.join(site.spool.path, "boxes", "cook"), 0, 0)
        site.enqueue()
        finding = only(site.found(rights.spool), "wrong")
        assert "the first to root" in finding.found and " and " in finding.found
        assert finding.remedy.startswith(f"chown -R {site.user.pw_name}:")

    def test_has_files_that_its_user_cannot_use(self, site):
        os.chmod(os.path.join(site.spool.path, "boxes", "cook", "new"), 0o550)
        finding = only(site.found(rights.spool), "wrong")
        assert "cook/new" in finding.found and "chmod -R u+rwX" in finding.remedy
        assert len(site.found(rights.spool)) == 1         # and not fine as well

    def test_has_files_that_all_may_change(self, site):
        os.chmod(os.path.join(site.spool.path, "boxes", "cook", "new"), 0o777)
        finding = only(site.found(rights.spool), "wrong")
        assert "everybody" in finding.found and "chmod -R o-w" in finding.remedy
