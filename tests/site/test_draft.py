"""Changing mail.cfg: nothing wrong is written, nobody's change is lost, and a crash leaves the old file or the new."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.site import config, draft as drafts
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Conflict, Draft
from amsmail.store import durable
from amsmail.store.locks import Lock
from tests.real.packages import Unavailable
from tests.real.process import mail_account, public_folder
from tests.site.changes import edit
from tests.store.disk import Crash, Disk

TEXT = """\
# The yacht's mail.
schema = 1

[site]
hostname = mail.yacht.example       # what we call ourselves
spool = /tmp/never/used
postmaster = captain

[domains]
  [[yacht.example]]

[boxes]
  # The captain.
  [[captain]]
  [[cook]]
  addresses = cook, galley
"""
BOX = ("boxes", "cook", "addresses")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mail.cfg"
    path.write_text(TEXT)
    path.chmod(0o640)
    return path


def refused(draft, kind=ConfigError):
    """What is said when the draft is not written."""
    with pytest.raises(kind) as caught:
        draft.save()
    return "\n".join(caught.value.problems)


def previous(path):
    return path.with_name("mail.cfg.previous").read_text()


def test_only_the_line_that_is_meant_changes_and_the_file_before_is_kept(path):
    draft = Draft(path)
    draft.set(BOX, "cook, chef")
    draft.save()
    assert path.read_text() == TEXT.replace("galley", "chef")
    assert previous(path) == TEXT and draft.had_previous
    draft.set(("site", "hostname"), "h.yacht.example")
    draft.save()
    assert previous(path) == TEXT.replace("galley", "chef")
    assert config.load(path).hostname == "h.yacht.example"


def test_what_is_set_to_what_it_is_is_no_change(path):
    draft = Draft(path)
    draft.set(BOX, "cook, galley")
    assert not draft.is_changed
    draft.save()
    assert not path.with_name("mail.cfg.previous").exists()


def test_what_is_not_there_and_is_taken_away_is_no_change(path):
    draft, mark = Draft(path), Draft(path).mark()
    draft.set(("relay", "host"), None)
    assert draft.mark() == mark and draft.lines == TEXT.splitlines()


def test_the_spool_that_it_names(path):
    assert Draft(path).spool() == "/tmp/never/used"
    path.write_text(TEXT.replace("spool = /tmp/never/used\n", ""))
    assert Draft(path).spool() == config.DEFAULT_SPOOL


@pytest.mark.parametrize("text", ["", '""', "relative/path", "/" * 1001])
def test_a_spool_that_is_none(path, text):
    path.write_text(TEXT.replace("/tmp/never/used", text))
    with pytest.raises(ConfigError, match=r"\[site\] spool: found '.*'; expected an absolute path"):
        Draft(path).spool()


def test_the_names_that_others_have_now(path):
    draft = Draft(path)
    for old, new in ("cook", "chef"), ("chef", "stoker"), ("captain", "boss"):
        draft.rename(("boxes", old), new)
    draft.drop(("boxes", "boss"))
    assert draft.renamed("boxes") == {"cook": "stoker"} and draft.renamed("accounts") == {}
    assert draft.in_effect("boxes") == ["captain", "cook"] and draft.names("boxes") == ["stoker"]
    draft.set(("site", "postmaster"), "stoker")
    draft.save()
    assert draft.renamed("boxes") == {}


def test_owner_and_mode_stay(path):
    path.chmod(0o600)
    edit(path, {BOX: "chef"})
    for file in path, path.with_name("mail.cfg.previous"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_what_root_writes_stays_its_owners(path):
    if os.geteuid():
        raise Unavailable("root", "only root can give files away")
    owner = mail_account()
    os.chown(path, owner.pw_uid, owner.pw_gid)
    edit(path, {BOX: "chef"})
    assert {(file.name, file.stat().st_uid, file.stat().st_gid) for file in path.parent.iterdir()} == {
        (name, owner.pw_uid, owner.pw_gid) for name in ("mail.cfg", "mail.cfg.previous", "mail.cfg.lock")}


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_lock_that_leads_to_another_file_does_not_give_that_file_away(path, link):
    if os.geteuid():
        raise Unavailable("root", "only root can give files away")
    owner = mail_account()
    os.chown(path, owner.pw_uid, owner.pw_gid)
    other = path.with_name("shadow")
    other.write_text("of root")
    link(path.with_name("mail.cfg.lock"), other)
    try:
        edit(path, {BOX: "chef"})
    except ConfigError as error:
        assert "cannot be written" in str(error) and "mail.cfg.lock" in str(error)
    assert other.stat().st_uid == 0 and other.read_text() == "of root"


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "elsewhere" / "mail.cfg"
    link.parent.mkdir()
    link.symlink_to(path)
    edit(link, {BOX: "chef"})
    assert link.is_symlink() and "addresses = chef" in path.read_text()


def test_nothing_wrong_is_written(path):
    draft = Draft(path)
    draft.set(("site", "postmaster"), "nobody")
    draft.set(BOX, "captain")
    assert draft.problems() == [
        f"{path}:7: [site] postmaster: found 'nobody'; expected one of the boxes: captain, cook",
        f"{path}:16: [boxes] cook addresses: captain@yacht.example belongs to box captain already"]
    assert refused(draft) == "\n".join(draft.problems())
    assert path.read_text() == TEXT


def test_a_file_with_two_mistakes_is_mended_one_by_one(path):
    path.write_text(TEXT.replace("captain\n", "nobody\n", 1).replace("galley", "cap tain@@"))
    edit(path, {("site", "postmaster"): "captain"})
    draft = Draft(path)
    draft.drop(("boxes", "captain"))
    assert "postmaster" in refused(draft)       # it was right a moment ago
    edit(path, {BOX: "galley"})
    config.load(path)


def test_a_file_that_is_no_mail_cfg_is_not_changed(path):
    path.write_text(TEXT + "nonsense\n")
    assert ":17: " in refused(_set(Draft(path), "chef"))
    assert path.read_text() == TEXT + "nonsense\n"


def _set(draft, value, keys=BOX):
    draft.set(keys, value)
    return draft


class TestTwoAtOnce:
    def test_two_keys(self, path):
        mine, theirs = Draft(path), Draft(path)
        _set(theirs, "h.yacht.example", ("site", "hostname")).save()
        _set(mine, "chef").save()
        assert path.read_text() == TEXT.replace("cook, galley", "chef").replace("mail.yacht", "h.yacht")
        assert "h.yacht.example" in previous(path)

    def test_the_same_key(self, path):
        mine, theirs = _set(Draft(path), "chef"), _set(Draft(path), "mess")
        theirs.save()
        assert refused(mine, Conflict) == (
            f"{path}: [boxes] cook addresses was changed by somebody else meanwhile; nothing was written")
        assert "addresses = mess" in path.read_text()
        mine.take_over()
        assert [line for line in mine.diff() if line[:1] in "+-"][2:] == ["-  addresses = mess", "+  addresses = chef"]
        mine.save()
        assert "addresses = chef" in path.read_text()

    def test_the_same_answer(self, path):
        mine, theirs = _set(Draft(path), "chef"), _set(Draft(path), "chef")
        theirs.save()
        mine.save()
        assert "addresses = chef" in path.read_text()

    @pytest.mark.parametrize("mine, theirs", [
        (lambda draft: draft.set(BOX, "chef"), lambda draft: draft.drop(("boxes", "cook"))),
        (lambda draft: draft.set(("boxes", "cook", "password"), ""), lambda draft: draft.rename(("boxes", "cook"),
                                                                                                "chef")),
        (lambda draft: draft.drop(("boxes", "cook")), lambda draft: draft.set(BOX, "chef")),
        (lambda draft: draft.drop(("boxes", "cook")), lambda draft: draft.rename(("boxes", "cook"), "chef")),
        (lambda draft: draft.rename(("boxes", "cook"), "chef"), lambda draft: draft.set(BOX, "mess")),
        (lambda draft: draft.rename(("boxes", "cook"), "chef"), lambda draft: draft.add(("boxes", "chef"))),
        (lambda draft: draft.add(("boxes", "chef")), lambda draft: draft.add(("boxes", "chef"))),
        (lambda draft: draft.add(("boxes", "chef")), lambda draft: draft.rename(("boxes", "cook"), "chef")),
    ], ids=["set-drop", "set-rename", "drop-set", "drop-rename", "rename-set", "rename-add", "add-add", "add-rename"])
    def test_the_same_box(self, path, mine, theirs):
        first, second = Draft(path), Draft(path)
        mine(second)
        theirs(first)
        first.save()
        after = path.read_text()
        refused(second, Conflict)
        assert path.read_text() == after

    @pytest.mark.parametrize("mine, theirs", [
        (lambda draft: draft.add(("boxes", "mate")), lambda draft: draft.add(("boxes", "stoker"))),
        (lambda draft: draft.add(("boxes", "mate")), lambda draft: draft.drop(("boxes", "cook"))),
        (lambda draft: draft.drop(("boxes", "cook")), lambda draft: draft.add(("boxes", "mate"))),
        (lambda draft: draft.rename(("boxes", "cook"), "chef"), lambda draft: draft.set(("calls", "urgent_from"),
                                                                                        "captain")),
        (lambda draft: draft.set(("calls", "schedule"), ""), lambda draft: draft.set(("calls", "urgent_from"),
                                                                                     "captain")),
    ])
    def test_different_things(self, path, mine, theirs):
        first, second, expected = Draft(path), Draft(path), Draft(path)
        theirs(first)
        first.save()
        mine(second)
        second.save()
        theirs(expected)
        mine(expected)
        assert sorted(path.read_text().splitlines()) == sorted(expected.lines)

    def test_a_comment_of_somebody_else_stays(self, path):
        draft = _set(Draft(path), "chef")
        path.write_text("# Mine.\n" + TEXT)
        draft.save()
        assert path.read_text() == "# Mine.\n" + TEXT.replace("cook, galley", "chef")

    def test_what_together_is_wrong_is_refused(self, path):
        mine, theirs = Draft(path), Draft(path)
        mine.set(("site", "postmaster"), "cook")
        theirs.drop(("boxes", "cook"))
        theirs.save()
        after = path.read_text()
        assert "found 'cook'; expected one of the boxes: captain" in refused(mine)
        assert path.read_text() == after

    def test_somebody_who_writes_for_long(self, path, monkeypatch):
        monkeypatch.setattr(drafts, "_PATIENCE", 0.1)
        draft = _set(Draft(path), "chef")
        with Lock(str(path) + ".lock"):
            assert "somebody else is writing it right now" in refused(draft)
        draft.save()

    def test_many_who_write_at_once(self, path):
        """Each waits for the others, and all that they said is there."""
        mine = [Draft(path) for _ in range(8)]
        for number, draft in enumerate(mine):
            draft.add(("boxes", f"mate{number}"))
        with ThreadPoolExecutor(len(mine)) as pool:
            list(pool.map(Draft.save, mine))
        assert set(Draft(path).names("boxes")) >= {f"mate{number}" for number in range(8)}

    def test_removed_meanwhile(self, path):
        draft = _set(Draft(path), "chef")
        path.unlink()
        assert "was removed meanwhile" in refused(draft)
        assert not path.exists()

    def test_made_meanwhile(self, path):
        path.unlink()
        draft = Draft(path, TEXT.splitlines())
        path.write_text("schema = 1\n")
        assert "was made by somebody else meanwhile" in refused(draft)
        assert path.read_text() == "schema = 1\n"

    def test_undoing_keeps_what_somebody_else_wrote(self, path):
        draft = Draft(path)
        mark = draft.mark()
        _set(draft, "captain")
        edit(path, {("site", "hostname"): "h.yacht.example"})
        refused(draft)          # the address is taken
        draft.undo(mark)
        _set(draft, "chef").save()
        assert "h.yacht.example" in path.read_text() and "chef" in path.read_text()


class TestANewFile:
    def test_it_belongs_to_the_group_of_its_folder(self, path, tmp_path):
        path.unlink()
        Draft(path, TEXT.splitlines()).save()
        assert path.read_text() == TEXT and not path.with_name("mail.cfg.previous").exists()
        status = path.stat()
        assert (status.st_mode & 0o777, status.st_gid) == (0o640, tmp_path.stat().st_gid)

    def test_its_diff_is_what_it_says(self, path):
        path.unlink()
        draft = Draft(path, TEXT.splitlines())
        assert draft.diff()[:3] == ["schema = 1", "[site]",
                                    "hostname = mail.yacht.example       # what we call ourselves"]

    def test_a_folder_that_is_not_there_is_told_before_anything_is_asked(self, tmp_path):
        draft = Draft(tmp_path / "none" / "mail.cfg", TEXT.splitlines())
        with pytest.raises(ConfigError, match="there is no folder"):
            draft.check_writable()
        assert "No such file" in refused(draft)

    def test_without_lines_a_file_must_be_there(self, path):
        path.unlink()
        with pytest.raises(ConfigError, match="there is no such file; `mailcfg` makes one"):
            Draft(path)

    def test_one_in_a_folder_that_is_not_open_may_be_there(self):
        if os.geteuid():
            raise Unavailable("root", "only root can become somebody who may not look")
        with public_folder() as folder:
            path = folder / "etc" / "mail.cfg"
            path.parent.mkdir(mode=0o700)
            path.write_text(TEXT)
            os.seteuid(mail_account().pw_uid)
            try:
                for lines in None, TEXT.splitlines():
                    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
                        Draft(path, lines)
            finally:
                os.seteuid(0)


@pytest.mark.parametrize("key", ["password", '"password"', "'password'", '"password" '])
def test_a_password_with_its_key_in_quotes_is_in_no_diff(path, key):
    edit(path, {("relay", "host"): "smtp.provider.example"})
    path.write_text(path.read_text() + f"user = yacht\n{key}= tell nobody\n")
    draft = Draft(path)
    draft.set(("relay", "user"), "ship")
    draft.set(("relay", "password"), "tell nobody else")
    assert "tell" not in "\n".join(draft.diff()) and "(not shown)" in "\n".join(draft.diff())


def test_what_is_no_text_is_not_written_nor_any_file_with_it(path):
    draft, other = Draft(path), str(path.with_name("key.pem"))
    with pytest.raises(ValueError, match="UTF-8"):
        draft.set(BOX, "caf\udce9")
    draft.put_file(other, b"x")
    draft.lines.append("# caf\udce9")
    assert "UTF-8" in refused(draft) and not os.path.exists(other)


def test_passwords_are_in_no_diff(path):
    draft = Draft(path)
    draft.set(("relay", "host"), "smtp.provider.example")
    draft.set(("relay", "user"), "yacht")
    draft.set(("relay", "password"), "tell nobody")
    draft.save()
    draft.set(("relay", "password"), "tell nobody else")
    draft.set(("relay", "user"), "ship")
    assert "tell" not in "\n".join(draft.diff()) and "+password = (not shown)" in draft.diff()
    path.unlink()
    assert "tell" not in "\n".join(Draft(path, draft.lines).diff())


FILES = {"cert": b"certificate", "key": b"private"}


def change(path):
    """One save of a change with files of its own."""
    draft = Draft(path)
    for name, data in FILES.items():
        file = str(path.with_name(name))
        draft.put_file(file, data)
        draft.set(("tls", {"cert": "certificate"}.get(name, name)), file)
    assert draft.problems() == []
    draft.save()
    return draft


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power-cut"])
def test_a_crash_at_any_step_leaves_the_old_file_or_the_new(tmp_path, monkeypatch, cut):
    """The files that mail.cfg names are there before it names them, and FILE.previous is never a mixture either."""
    real, at, olds, news = durable.os, 0, 0, 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        path = folder / "mail.cfg"
        path.write_text(TEXT)
        path.chmod(0o640)
        path.with_name("mail.cfg.previous").write_text("# older\n")
        disk = Disk(folder, crash_at=at)
        monkeypatch.setattr(durable, "os", disk.os)
        try:
            change(path)
            crashed = False
        except Crash:
            crashed = True
        monkeypatch.setattr(durable, "os", real)
        disk.power_cut() if cut else disk.end()
        path.chmod(0o640)
        found, before = path.read_text(), previous(path)
        assert before in ("# older\n", TEXT)
        if found == TEXT:
            olds += 1
        else:
            news += 1
            assert before == TEXT
            assert {name: path.with_name(name).read_bytes() for name in FILES} == FILES
            config.load(path)
        if found == TEXT:
            change(path)        # again, after a crash
        if not crashed:
            break
    assert olds > 10 and news > (1 if cut else 2)


def test_a_disk_that_fails_is_told_and_leaves_the_file(path, monkeypatch):
    before = sorted(os.listdir(path.parent))
    disk = Disk(path.parent, fail_at=3, error=28, for_good=True)
    monkeypatch.setattr(durable, "os", disk.os)
    assert refused(_set(Draft(path), "chef")) == f"{path}: cannot be written: No space left on device"
    monkeypatch.undo()
    assert path.read_text() == TEXT
    assert [name for name in os.listdir(path.parent) if not name.endswith((".new", ".lock"))] == before


def test_files_are_never_written_over(path):
    path.with_name("key").write_text("another")
    with pytest.raises(ConfigError, match="is there already"):
        change(path)
    assert path.read_text() == TEXT and path.with_name("key").read_text() == "another"


STEPS = st.lists(st.tuples(st.sampled_from(["set", "add", "drop"]), st.sampled_from(["cook", "mate"]),
                           st.sampled_from(["a", "b, c"])), max_size=4)


def play(draft, steps):
    for step, name, text in steps:
        {"set": lambda: draft.set(("boxes", name, "addresses"), text), "add": lambda: draft.add(("boxes", name)),
         "drop": lambda: draft.drop(("boxes", name))}[step]()
    return draft


@given(STEPS, STEPS)
def test_undoing_to_a_mark_leaves_what_came_before(tmp_path_factory, first, second):
    path = tmp_path_factory.getbasetemp() / "undo.cfg"
    path.write_text(TEXT)
    draft = play(Draft(path), first)
    before, mark = list(draft.lines), draft.mark()
    play(draft, second).undo(mark)
    assert draft.lines == before
    draft.undo_all()
    assert not draft.is_changed
