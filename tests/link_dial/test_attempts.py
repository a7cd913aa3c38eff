"""Attempts and pauses, and links of type command."""

import os
import signal

import pytest

from amsmail.link import command, diallers
from amsmail.link.links import LinkError

KINDS = ["rasdial", "ppp", "networkmanager", "modemmanager"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_busy_line_is_tried_again(line, kind):
    line.play("busy", "no-carrier", "ok")
    line.link(kind, attempts=3, pause=45).up()
    assert line.is_up(kind) and line.clock.sleeps.count(45) == 2
    assert [(attempt, error.reason.name) for attempt, error in line.reported] == [(1, "BUSY"), (2, "NO_CARRIER")]
    assert line.attempts == ["up", "down", "up", "down", "up"]


def test_the_last_attempt_is_the_last(line):
    line.play("busy", "busy", "no-dialtone", "ok")
    with pytest.raises(LinkError, match="^3 attempts, the last: .*there is no dial tone") as caught:
        line.link("rasdial", attempts=3, pause=7).up()
    assert caught.value.reason == diallers.NO_DIALTONE
    assert line.clock.sleeps == [7, 7] and len(line.reported) == 3
    assert line.attempts == ["up", "down", "up", "down", "up"]      # the last `down` is for the caller


def test_without_the_new_keys_there_is_one_attempt(line):
    line.play("busy", "ok")
    with pytest.raises(LinkError):
        line.link("rasdial").up()
    assert line.attempts == ["up"]


def test_hanging_up_half_a_line_that_fails_is_reported_and_no_reason_to_stop(line, monkeypatch):
    line.script("mmcli", """case "$*" in *-K) ;; *simple-disconnect) exit 1 ;;
        *) echo "error: Connection.Busy"; exit 1 ;; esac""")
    monkeypatch.setenv("PATH", f"{line.folder}:/usr/bin:/bin")
    with pytest.raises(LinkError):
        line.link("modemmanager", attempts=2).up()
    assert [(attempt, str(error)[:26]) for attempt, error in line.reported] == [
        (1, "the link did not come up: "), (1, "the link did not come down"), (2, "the link did not come up: ")]


# Type command

def commands(line, up="true", down="true"):
    return {"up": [line.script("bring-up", up)], "down": [line.script("bring-down", down)]}


def test_command_up_and_down(line):
    link = line.link("command", **commands(line, f"touch {line.folder}/it", f"rm {line.folder}/it"))
    assert link.is_dialled and not link.is_up()
    link.up()
    assert (line.folder / "it").exists()
    link.down()
    assert not (line.folder / "it").exists()


@pytest.mark.parametrize("said, name", [("BUSY", "BUSY"), ("NO CARRIER", "NO_CARRIER"), ("NO DIALTONE", "NO_DIALTONE"),
                                        ("NO DIAL TONE", "NO_DIALTONE"), ("NO ANSWER", "NO_CARRIER"),
                                        ("something else", "FAILED")])
def test_what_a_modem_answers_is_known_in_a_command_of_ones_own(line, said, name):
    with pytest.raises(LinkError, match=f"bring-up ended with code 4 and said: {said}$") as caught:
        line.link("command", **commands(line, f"echo {said}; exit 4")).up()
    assert caught.value.reason.name == name


def test_what_a_command_says_moves_no_cursor(line):
    up = r"printf 'NO CARRIER \033[2J\033]0;x\007'; exit 4"
    with pytest.raises(LinkError, match=r"said: NO CARRIER \?\[2J\?\]0;x\?$"):
        line.link("command", **commands(line, up)).up()


def test_a_command_keeps_its_language(line, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(LinkError, match="said: de_DE.UTF-8"):
        line.link("command", **commands(line, 'echo "$LC_ALL"; exit 1')).up()


def test_what_cannot_be_hung_up_is_not_dialled(line):
    settings = {**commands(line, f"touch {line.folder}/it"), "down": ["/no/such/program"]}
    with pytest.raises(LinkError, match="/no/such/program: not found") as caught:
        line.link("command", attempts=3, **settings).up()
    assert caught.value.reason == diallers.NOT_THERE and not (line.folder / "it").exists()


def test_a_command_that_is_not_there_is_not_tried_again(line):
    settings = {**commands(line), "up": ["/no/such/program", "secret"]}
    with pytest.raises(LinkError, match="the command that brings the link up cannot be started: /no/such/program: No"):
        line.link("command", attempts=3, **settings).up()
    assert line.clock.sleeps == []


def test_a_command_link_with_a_probe_may_be_up_already(line):
    link = line.link("command", probe="interface lo", **commands(line, "exit 1", "exit 1"))
    link.up()
    link.down()
    assert not link.is_ours


# Running a command

def test_a_command_that_ignores_sigterm_is_killed_with_what_it_started(line):
    script = line.script("stubborn", f"trap '' TERM; sleep 60 & echo $! $$ > {line.folder}/pids; echo begun; wait")
    with pytest.raises(command.TookTooLong) as caught:
        command.run([script], 0.5, grace=0.1)
    assert caught.value.said == "begun\n"
    assert not any(is_running(process) for process in (line.folder / "pids").read_text().split())


def is_running(process):
    """Whether it is more than what nobody has asked for its end yet."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_that_ends_at_sigterm_is_not_killed(line):
    script = line.script("polite", f"trap 'echo hung up > {line.folder}/end; exit' TERM; sleep 60 & wait")
    with pytest.raises(command.TookTooLong):
        command.run([script], 0.5)
    assert (line.folder / "end").read_text() == "hung up\n"


def test_a_child_left_behind_on_purpose_is_not_waited_for(line):
    script = line.script("daemon", "echo begun; sleep 60 & echo $!; exit 3")
    outcome = command.run([script], 20)
    begun, child = outcome.said.split()
    os.kill(int(child), signal.SIGKILL)
    assert outcome.code == 3 and begun == "begun"


def test_only_the_end_of_a_long_text_is_kept():
    outcome = command.run(["sh", "-c", "yes | head -c 99999; echo end"], 20)
    assert len(outcome.said) == 4096 and outcome.said.endswith("end\n") and not outcome.is_whole


@pytest.mark.parametrize("script, said", [("cat", "word"), ("true", "")])
def test_a_command_may_read_what_it_is_given_or_not(script, said):
    assert command.run([script], 20, given=b"word").said == said


@pytest.mark.parametrize("words", [["/no/such/program", "secret"], ["sh\0", "secret"]])
def test_a_command_that_cannot_be_started_says_so_without_its_words(words):
    with pytest.raises(command.NotStarted) as caught:
        command.run(words, 20)
    assert "secret" not in str(caught.value) and caught.value.__context__ is None
