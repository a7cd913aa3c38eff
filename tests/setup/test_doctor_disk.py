"""mailcfg check: the file system of the spool."""

import errno
import os
import pwd
import types

import pytest

from amsmail.setup.doctor import disk
from amsmail.store import durable
from tests.real.process import public_folder

from .doctor import Mounted, Owned, as_user, levels, only


@pytest.fixture
def site():
    with public_folder() as folder:
        yield Owned(folder / "site")


class TestKind:
    """Of which kind it is, by the kernel's table; its stand-in has kinds that this machine lacks."""

    @pytest.mark.parametrize("kind, level, why", [
        ("ext4", "fine", "ext4"), ("btrfs", "fine", "btrfs"), ("overlay", "fine", "overlay"),
        ("nfs4", "wrong", "locks"), ("cifs", "wrong", "locks"), ("9p", "wrong", "locks"),
        ("vfat", "wrong", "journal"), ("exfat", "wrong", "journal"), ("tmpfs", "wrong", "memory")])
    def test_of_the_innermost_mount(self, site, tmp_path, kind, level, why):
        inner = os.path.realpath(site.spool.path).replace("s", r"\163")      # as the kernel writes a blank: in octal
        (tmp_path / "mounts").write_text(f"a / xfs rw 0 0\nb {inner} xfs rw 0 0\nc {inner} {kind} rw 0 0\n"
                                         f"d {inner}/boxes/cook nfs rw 0 0\ne {inner}-other nfs rw 0 0\n")
        finding = only(site.found(disk.kind, proc=str(tmp_path)), level)
        assert why in finding.found

    def test_of_a_real_mount(self, site, tmp_path):
        with Mounted(tmp_path / "memory", "size=1m"):
            moved = types.SimpleNamespace(spool=str(tmp_path / "memory"))
            finding = only(list(disk.kind(moved, site.world())), "wrong")
            assert f"{tmp_path}/memory (tmpfs), which is memory" in finding.found

    def test_where_there_is_no_table(self, site, tmp_path):
        assert site.found(disk.kind, proc=str(tmp_path)) == []


class TestAbilities:
    def left(self, site):
        return [name for _, _, names in os.walk(site.spool.path) for name in names if "check-" in name]

    def test_this_one_can_all(self, site):
        assert levels(site.found(disk.abilities)) == ["fine"]
        assert self.left(site) == []

    def stand_in(self, monkeypatch, **operations):
        """`durable` on a system where some operations fail."""
        monkeypatch.setattr(durable, "os", types.SimpleNamespace(**{**vars(os), **operations}))

    @pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.ENOTSUP])
    def test_cannot_link(self, site, monkeypatch, number):
        def link(*_paths):
            raise OSError(number, os.strerror(number))
        self.stand_in(monkeypatch, link=link)
        assert "no hard links" in only(site.found(disk.abilities), "note").found
        assert self.left(site) == []

    def test_takes_no_colon(self, site, monkeypatch):
        def open_without_colon(path, *flags):
            if ":" in path:
                raise OSError(errno.EINVAL, "Invalid argument")
            return os.open(path, *flags)
        self.stand_in(monkeypatch, open=open_without_colon)
        assert "colon" in only(site.found(disk.abilities), "wrong").found
        with open(os.path.join(site.spool.path, "format"), "w") as f:
            f.write("amsmail-spool 1 ;\n")          # made there: it knows
        assert levels(site.found(disk.abilities)) == ["fine"]

    def test_cannot_flush(self, site, monkeypatch):
        def fsync(_fd):
            raise OSError(errno.EIO, "Input/output error")
        self.stand_in(monkeypatch, fsync=fsync)
        finding = only(site.found(disk.abilities), "wrong")
        assert "Input/output error" in finding.found and "dmesg" in finding.remedy

    def test_is_read_only_or_full(self, site):
        with Mounted(site.path.parent / "disk", "size=64k") as mounted:
            folder = site.path.parent / "disk"
            here = types.SimpleNamespace(spool=str(folder))
            assert levels(disk.abilities(here, site.world())) == ["fine"]
            with open(folder / "much", "wb", buffering=0) as f, pytest.raises(OSError):
                while True:
                    f.write(bytes(1024))
            finding = only(list(disk.abilities(here, site.world())), "wrong")
            assert "No space left" in finding.found and "make room" in finding.remedy
            mounted.remount("ro")
            finding = only(list(disk.abilities(here, site.world())), "wrong")
            assert "Read-only" in finding.found and "remount,rw" in finding.remedy

    def test_whoever_may_not_write_there_is_told(self, site):
        loaded, world = site.site, site.world()
        os.chmod(site.spool.path, 0o755)
        os.chmod(os.path.join(site.spool.path, "queue"), 0o755)
        finding = only(as_user(pwd.getpwnam("nobody"), lambda: disk.abilities(loaded, world)), "note")
        assert "run this as root" in finding.remedy


class TestRoom:
    def found(self, site, options, message_size):
        site.configure(limits={"message_size": message_size})
        with Mounted(site.path.parent / "disk", options):
            here = types.SimpleNamespace(spool=str(site.path.parent / "disk"), limits=site.site.limits)
            return list(disk.room(here, site.world()))

    def test_enough(self, site):
        assert levels(self.found(site, "size=400m", 20_000_000)) == ["fine"]

    @pytest.mark.parametrize("size, message_size", [("100m", 10_000_000), ("300m", 80_000_000)])
    def test_nearly_full(self, site, size, message_size):
        assert "nearly full" in only(self.found(site, f"size={size}", message_size), "note").found

    def test_less_than_a_message(self, site):
        finding = only(self.found(site, "size=10m", 20_000_000), "wrong")
        assert "10.5 MB left, less than one message of 20.0 MB" in finding.found

    def test_no_inodes(self, site):
        finding = only(self.found(site, "size=400m,nr_inodes=100", 20_000_000), "wrong")
        assert "99 more files" in finding.found and "df -i" in finding.remedy
