"""Each dialler: what it brings up, what it says of what failed, and that nothing is left up."""

import json
import traceback

import pytest
from hypothesis import given, settings, strategies

from amsmail.link import counters, diallers
from amsmail.link.links import LinkError
from tests.link_dial.conftest import FAKES

KINDS = ["rasdial", "ppp", "networkmanager", "modemmanager"]
TELLS = [kind for kind in KINDS if kind != "ppp"]          # whose program says whether the link is up
PASSWORD = "Gr%g,se'cret"

# How a failure is named, by what the fakes play; what only some can play is below.
FAILURES = {"busy": "BUSY", "no-carrier": "NO_CARRIER", "no-dialtone": "NO_DIALTONE", "wrong-password":
            "WRONG_PASSWORD", "fail": "FAILED"}
SPECIAL = [("rasdial", "no-route", "NO_ROUTE"), ("ppp", "no-route", "NO_ROUTE"), ("ppp", "hang-up", "NO_CARRIER"),
           ("ppp", "no-device", "NOT_THERE"), ("networkmanager", "no-route", "NO_ROUTE"),
           ("networkmanager", "no-device", "NOT_THERE"), ("networkmanager", "timeout", "TIMED_OUT"),
           ("modemmanager", "no-apn", "NOT_THERE"), ("modemmanager", "locked", "WRONG_PASSWORD"),
           ("modemmanager", "timeout", "TIMED_OUT")]


def failure_of(link):
    with pytest.raises(LinkError) as caught:
        link.up()
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_up_and_down(line, kind):
    link = line.link(kind)
    link.up()
    assert line.is_up(kind) and link.is_ours
    link.down()
    assert not line.is_up(kind)
    link.down()         # a second time is no error: nothing is up


@pytest.mark.parametrize("kind, played, name",
                         [(kind, *failure) for kind in KINDS for failure in FAILURES.items()] + SPECIAL)
def test_what_failed_is_named(line, kind, played, name):
    line.play(played)
    link = line.link(kind)
    failure = failure_of(link)
    assert failure.reason == getattr(diallers, name)
    assert name == "FAILED" or failure.reason.words in str(failure)
    link.down()
    assert not line.is_up(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_is_not_there(line, kind):
    line.write("entry", "another")
    failure = failure_of(line.link(kind, attempts=3))
    assert failure.reason == diallers.NOT_THERE and line.attempts.count("up") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_dialler_that_hangs_is_ended_and_hung_up(line, kind):
    line.play("hang")
    link = line.link(kind, up_limit=0.4)
    failure = failure_of(link)
    assert failure.reason == diallers.TIMED_OUT and "within 0.4 s" in str(failure)
    line.link(kind).down()
    assert not line.is_up(kind)


@pytest.mark.parametrize("kind", ["ppp", "networkmanager", "modemmanager"])
def test_up_without_an_address(line, kind):
    line.write("interface", "none0")
    failure = failure_of(line.link(kind))
    assert failure.reason == diallers.NO_ROUTE and "interface none0" in str(failure)
    assert line.clock.now == 1020       # it had up_limit seconds


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_says_whether_it_came_up(line, kind):
    tries = line.folder / "tries"
    probe = line.script("probe", f"echo x >> {tries}; test $(grep -c x {tries}) -ge 3")
    line.link(kind, probe=f"command {probe}").up()
    assert set(line.clock.sleeps) == {0.5}
    line.write("up", "{}")
    failure = failure_of(line.link(kind, probe="command false"))
    assert failure.reason == diallers.NO_ROUTE and "command false" in str(failure)


@pytest.mark.parametrize("kind", TELLS)
def test_up_from_somebody_elses_hand_is_used_and_never_hung_up(line, kind):
    assert not line.link(kind).is_up()
    line.set_up(kind)
    link = line.link(kind)
    assert link.is_up()
    link.up()
    link.down()
    assert not link.is_ours and line.is_up(kind) and line.attempts == []


def test_ppp_from_somebody_elses_hand_is_seen_by_the_probe(line):
    link = line.link("ppp", probe="interface lo")
    assert link.is_up()
    link.up()
    link.down()
    assert not link.is_ours and line.calls == []
    assert not line.link("ppp").is_up() and not line.link("ppp", probe="interface none0").is_up()


@pytest.mark.parametrize("kind", TELLS)
def test_another_entry_that_is_up_does_not_count(line, kind):
    line.set_up(kind)
    if kind == "modemmanager":
        line.write("up", json.dumps({"mmcli": {"0": "connecting"}}))
        assert not line.link(kind).is_up()
    else:
        assert not line.link(kind, entry="Nord").is_up()


@pytest.mark.parametrize("kind", TELLS)
def test_a_program_that_cannot_say_is_not_believed_to_be_up(line, kind, monkeypatch):
    monkeypatch.setenv("PATH", str(line.folder))
    assert not line.link(kind).is_up()
    failure = failure_of(line.link(kind, attempts=3))
    assert failure.reason == diallers.NOT_THERE and "cannot be started" in str(failure)
    assert line.clock.sleeps == []


@pytest.mark.parametrize("kind, name", [("rasdial", None), ("ppp", "lo"), ("networkmanager", "lo"),
                                        ("modemmanager", "lo")])
def test_the_interface_of_a_link(line, kind, name):
    link = line.link(kind)
    assert link.interface() is None and link.octets() is None
    link.up()
    assert link.interface() == name
    before, found, after = counters.octets(name), link.octets(), counters.octets(name)
    assert (found is None) == (name is None)
    assert not name or all(map(lambda *counts: list(counts) == sorted(counts), before, found, after))   # others use it
    link.down()
    assert link.interface() is None


def test_pppd_is_called_itself_where_there_is_no_pon(line, monkeypatch):
    found = diallers.shutil.which
    monkeypatch.setattr(diallers.shutil, "which", lambda name: None if name == "pon" else found(name))
    line.link("ppp").up()
    assert line.calls == [["pppd", "call", "station", "updetach", "debug"]]


def test_ppp_that_does_not_end_is_told_again_until_it_is_gone(line):
    link = line.link("ppp")
    link.up()
    line.script("poff", f"echo x >> {line.folder}/asked; "
                        f"test $(grep -c x {line.folder}/asked) -lt 3 || {{ echo No pppd is running; exit 1; }}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{line.folder}:/usr/bin:/bin")
        link.down()
        assert line.clock.sleeps == [0.5, 0.5]
        line.script("poff", "true")
        with pytest.raises(LinkError, match="did not come down within 20 s"):
            link.down()


def test_hanging_up_that_fails_is_said(line, monkeypatch):
    line.script("rasdial", "echo 'Remote Access error 668'; exit 156")
    monkeypatch.setenv("PATH", f"{line.folder}:/usr/bin:/bin")
    with pytest.raises(LinkError, match="did not come down: rasdial ended with code 156 and said: Remote Access"):
        line.link("rasdial").down()


@pytest.mark.parametrize("said, reason", [
    ("Script chat -v ABORT BUSY finished (pid 9), status = 0x3", diallers.FAILED),
    ("Script chat -s ABORT BUSY finished (pid 9), status = 0x6", diallers.NO_CARRIER),
    ("abort on (BUSY)\nabort on (NO ANSWER)\nFailed (NO ANSWER)", diallers.NO_CARRIER)])
def test_what_a_chat_script_waits_for_is_not_what_it_got(said, reason):
    assert diallers.TABLE["ppp"].reason(8, said) == reason


# Secrets

@pytest.mark.parametrize("kind", KINDS)
def test_the_password_reaches_the_dialler(line, kind):
    line.write("password", PASSWORD)
    command = line.script("secret", f"echo a warning >&2; cat <<'.'\n{PASSWORD}\nmore\n.")
    line.link(kind, password_command=[command]).up()
    assert line.is_up(kind)
    line.write("up", "{}")
    line.link(kind, password=PASSWORD).up()
    assert line.is_up(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_password_is_not_tried_again(line, kind):
    line.play("wrong-password", "ok")
    assert failure_of(line.link(kind, password=PASSWORD, attempts=3)).reason == diallers.WRONG_PASSWORD
    assert line.attempts.count("up") == 1 and len(line.reported) == 1


@pytest.mark.parametrize("kind", ["ppp", "networkmanager"])
def test_the_password_stands_on_no_command_line(line, kind):
    line.link(kind, password=PASSWORD).up()
    assert PASSWORD not in json.dumps(line.calls, ensure_ascii=False) and line.calls


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_command, end, limit",
                         [(False, "exit 1", 20), (True, "exit 1", 20), (False, "sleep 60", 0.3)],
                         ids=["fails", "fails, password by command", "hangs"])
def test_the_password_stands_in_no_message(line, kind, by_command, end, limit, monkeypatch):
    """Even if the program says it again: in messages, in what is reported, and in a traceback with all contexts."""
    for name in ("rasdial", "pon", "poff", "nmcli", "mmcli"):
        line.script(name, f'echo "$@" "$@" >&2; cat >&2; {end}')
    monkeypatch.setenv("PATH", f"{line.folder}:/usr/bin:/bin")
    secret = line.script("secret", f"cat <<'.'\n{PASSWORD}\n.")
    given = {"password_command": [secret]} if by_command else {"password": PASSWORD}
    link = line.link(kind, up_limit=limit, **given)
    monkeypatch.setattr(link, "is_up", lambda: False)
    failure = failure_of(link)
    shown = "".join(traceback.format_exception(failure)) + str(line.reported)
    for error in (failure, *(error for _, error in line.reported)):
        while error:
            shown += repr(error) + repr(vars(error))
            error = error.__context__
    assert PASSWORD not in shown and "'cret" not in shown and line.reported


def test_a_password_in_a_connect_script_stands_in_no_message(line):
    line.play("busy")
    shown = str(failure_of(line.link("ppp")))
    assert "Connect script failed" in shown and "chat-secret" not in shown


@pytest.mark.parametrize("script, limit, why", [
    ("exit 3", 20, "ended with code 3"), ("true", 20, "printed none"), ("echo; echo late", 20, "printed none"),
    ("yes | head -c 9999", 20, "printed none"), ("sleep 60", 0.3, "did not end within 0.3 s")])
def test_a_password_command_that_fails(line, script, limit, why):
    link = line.link("networkmanager", password_command=[line.script("secret", script)], attempts=3, up_limit=limit)
    assert why in str(failure_of(link)) and line.attempts == []


def test_a_password_command_that_is_not_there(line):
    failure = failure_of(line.link("networkmanager", password_command=["/no/such/program", "word"]))
    assert str(failure).endswith("/no/such/program: No such file or directory") and line.attempts == []


def test_pppd_has_its_own_secrets(line):
    line.link("ppp", password_command=["/no/such/program"]).up()
    assert line.is_up("ppp")


@settings(deadline=None)
@given(strategies.text(strategies.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_mmcli_is_given_any_password_as_it_is(password):
    described = {"entry": "0", "apn": "a", "user": "u", "up_limit": 5}
    if {"'", '"'} <= set(password):
        with pytest.raises(ValueError):
            diallers.TABLE["modemmanager"].up(described, password)
        return
    pairs = diallers.TABLE["modemmanager"].up(described, password)[-1].removeprefix("--simple-connect=")
    assert parsed()(pairs) == {"apn": "a", "user": "u", "password": password}


def parsed():
    """The fake mmcli's way to read its properties."""
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FAKES))
        spec = spec_from_loader("fake_mmcli", SourceFileLoader("fake_mmcli", str(FAKES / "mmcli")))
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return module.parsed


def test_a_password_with_both_kinds_of_quotes_is_refused_for_mmcli(line):
    failure = failure_of(line.link("modemmanager", password="a'b\"c", attempts=3))
    assert "both kinds of quotes" in str(failure) and line.attempts == []


def test_a_fake_line_may_make_another_one_exist(line, monkeypatch):
    made = line.folder / "made"
    monkeypatch.setenv("FAKE_DIAL_UP", f"touch {made}")
    monkeypatch.setenv("FAKE_DIAL_DOWN", f"rm {made}")
    link = line.link("modemmanager")
    link.up()
    assert made.exists()
    link.down()
    assert not made.exists()
