"""The corpus is the same everywhere: figures of different days are of the same messages."""

import email
import email.policy

import pytest

from scripts.bench import corpus, floors

DIGESTS = {("out", False): "a3b8374622ffde31", ("in", False): "3f8963978aa053c2",
           ("out", True): "5f05ab680b43a99d", ("in", True): "d5474fe8a2195d5a"}
# (messages, octets, octets compressed) in thousands
SIZES = {("out", False): (10, 168, 87), ("in", False): (20, 281, 112),
         ("out", True): (7, 42, 15), ("in", True): (14, 80, 29)}


@pytest.mark.parametrize("direction, text_only", DIGESTS)
def test_the_digest_is_stable(direction, text_only):
    assert corpus.digest(corpus.messages(direction, text_only)) == DIGESTS[direction, text_only]


@pytest.mark.parametrize("direction, text_only", SIZES)
def test_sizes(direction, text_only):
    messages = corpus.messages(direction, text_only)
    found = (len(messages), round(sum(map(len, messages)) / 1000), round(floors.compressed(messages) / 1000))
    assert found == pytest.approx(SIZES[direction, text_only], abs=0.5)


@pytest.mark.parametrize("direction", ["out", "in"])
def test_every_message_is_sound_and_no_two_are_alike(direction):
    messages = corpus.messages(direction)
    for text in messages:
        assert b"\n" not in text.replace(b"\r\n", b"") and text.endswith(b"\r\n")
        assert max(map(len, text.split(b"\r\n"))) <= 998
        parsed = email.message_from_bytes(text, policy=email.policy.default)
        assert not parsed.defects and parsed["Message-ID"] and parsed["From"]
        assert not any(part.defects for part in parsed.walk())
        if parsed.is_multipart():
            assert len(list(parsed.iter_parts())) == 2
    assert len({corpus.body_digest(text) for text in messages}) == len(messages)


def test_many_small_ones():
    messages = corpus.messages("out", count=100)
    assert len({corpus.body_digest(text) for text in messages}) == 100
    assert all(1990 < len(text) <= 2000 for text in messages)


def test_a_body_is_recognised_after_transport():
    text = b"Subject: x\r\n\r\nOne.\r\n\r\nTwo.\r\n"
    arrived = b"Received: from sea\n" + text.replace(b"\r\n", b"\n") + b"\n"
    assert corpus.body_digest(arrived) == corpus.body_digest(text)
    assert corpus.body_digest(arrived) != corpus.body_digest(text.replace(b"Two", b"2"))
