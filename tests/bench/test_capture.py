"""The counter of round trips, on captures made by hand."""

from scripts.bench import capture
from scripts.bench.capture import SYN
from scripts.bench.link import SEA

from .packets import SLOW, Dialogue, pcap


def test_a_command_and_its_reply_are_a_turn():
    dialogue = Dialogue()
    time = dialogue.exchange(0)
    dialogue.exchange(time + 3)         # the client's own thinking does not matter
    assert dialogue.figures() == (2, 2, 1)


def test_connecting_is_a_turn():
    dialogue = Dialogue()
    dialogue.up(0, 0, flags=SYN)
    dialogue.down(1.08, 0, flags=SYN)
    assert dialogue.figures() == (1, 1, 1)


def test_a_packet_sent_twice_counts_as_it_was_first_sent():
    dialogue = Dialogue()
    dialogue.up(0, 0, flags=SYN)
    dialogue.again(1)
    dialogue.down(1.08, 0, flags=SYN)
    assert dialogue.figures().turns == 1


def test_acknowledgements_are_no_turns():
    dialogue = Dialogue()
    dialogue.up(0, 60)
    dialogue.down(1.14, 0)
    dialogue.up(1.2, 0)
    assert dialogue.figures().turns == 0


def test_the_greeting_is_none_as_nobody_asked_for_it():
    dialogue = Dialogue()
    dialogue.down(5, 60)
    assert dialogue.figures().turns == 0


def test_a_pipelined_upload_is_one_turn_whatever_is_answered_meanwhile():
    dialogue = Dialogue()
    for n in range(10):
        dialogue.up(n, 960)             # each takes the line for a second
        dialogue.down(n + 0.9, 20)      # answers to what came two packets before
    dialogue.down(10 + 1 + 0.1, 60)     # the last answer
    assert dialogue.figures().turns == 1


def test_an_upload_that_waits_for_each_answer_has_as_many():
    dialogue = Dialogue()
    time = 0
    for n in range(10):
        dialogue.up(time, 960)
        time += 1 + SLOW.round_trip + 0.1
        dialogue.down(time, 60)
    assert dialogue.figures().turns == 10


def test_commands_sent_during_a_download_are_no_turns():
    dialogue = Dialogue()
    dialogue.up(0, 60)
    for n in range(10):                 # arrive back to back, a second each, longer than many a round trip
        dialogue.down(0.1 + SLOW.round_trip + 1 + n, 960)
        dialogue.up(0.1 + SLOW.round_trip + 1 + n + 0.01, 20)
    assert dialogue.figures().turns == 1


def test_answers_to_what_came_before_do_not_end_the_wait_for_the_last_one():
    dialogue = Dialogue()
    dialogue.up(0, 960)
    for time in (0.5, 1.2, 1.6, 2.1):
        dialogue.down(time, 20)
    assert dialogue.figures().turns == 1


def test_waits_at_the_same_time_count_once():
    dialogue = Dialogue()
    time = 0
    for n in range(3):
        dialogue.exchange(time, port=40001)
        time = dialogue.exchange(time + 0.01, port=40002)
    assert dialogue.figures() == (3, 6, 2)


def test_waits_of_connections_one_after_the_other_add_up():
    dialogue = Dialogue()
    time = 0
    for port in range(40000, 40003):
        time = dialogue.exchange(time, port)
    assert dialogue.figures() == (3, 3, 3)


def test_a_file_is_read_as_it_was_captured(tmp_path):
    dialogue = Dialogue()
    dialogue.up(1795243374.25, 0, flags=SYN)
    dialogue.down(1795243375.5, 700)
    path = tmp_path / "capture"
    path.write_bytes(pcap(dialogue.packets) + b"cut off")
    assert capture.read(path, SEA) == dialogue.packets
