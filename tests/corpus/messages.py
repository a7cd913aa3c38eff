"""Messages to carry: awkward ones made here, and real ones from a corpus if there is one.

The corpus is a folder of *.eml files, by $AMSMAIL_CORPUS or in ../shared/corpus beside the checkout.
"""

import os
import pathlib
import random

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def awkward():
    """{name: octets}, with CRLF line ends unless the name says otherwise."""
    noise = random.Random(20261121)
    return {
        "plain": b"From: a@b.example\r\nSubject: plain\r\n\r\nHello.\r\n",
        "header only": b"From: a@b.example\r\nSubject: no body\r\n",
        "header and blank line": b"From: a@b.example\r\n\r\n",
        "no header": b"\r\nOnly a body.\r\n",
        "not a header": b"this is no header field\r\nnor this\r\n\r\nbody\r\n",
        "blank": b"\r\n",
        "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.a\r\na.\r\n\r\n.\r\n",
        "dot first": b".Subject: dot\r\n\r\n.\r\n",
        "8-bit header": "Subject: Müller\r\n\r\nbody\r\n".encode("latin-1"),
        "8-bit body": b"Subject: x\r\n\r\n" + bytes(range(128, 256)) + b"\r\n",
        "utf-8": "Subject: Grüße 海\r\n\r\nGrüße 海\r\n".encode(),
        "NUL": b"Subject: x\r\n\r\na\0b\0\0\r\n",
        "control characters": b"Subject: x\r\n\r\n" + bytes(c for c in range(32) if c not in (10, 13)) + b"\x7f\r\n",
        "endless line": b"Subject: x\r\n\r\n" + b"x" * 300_000 + b"\r\n",
        "endless header": b"Subject: " + b"x" * 300_000 + b"\r\n\r\nbody\r\n",
        "blank lines at the end": b"Subject: x\r\n\r\nbody\r\n\r\n\r\n\r\n",
        "trailing blanks": b"Subject: x \r\n\t folded \r\n\r\nbody \t \r\n \r\n",
        "from line": b"Subject: x\r\n\r\nFrom somebody Thu Jan  1\r\n>From x\r\n",
        "noise": b"Subject: x\r\n\r\n" + bytes(c for c in noise.randbytes(200_000) if c not in (10, 13)) + b"\r\n",
        "lines over 64 kB": b"Subject: x\r\n\r\n" + b"".join(b"%d\r\n" % n for n in range(20_000)),
        "LF only": b"Subject: x\n\nline\n.\n..\n",
        "bare LF": b"Subject: x\r\n\r\nbare\nLF\r\n",
        "bare CR": b"Subject: x\r\n\r\nbare\rCR\r\n",
        "CR CR LF": b"Subject: x\r\n\r\nCR\r\r\nLF\r\n",
    }


def corpus():
    """{name: octets} of the corpus; empty where there is none."""
    folder = pathlib.Path(os.environ.get("AMSMAIL_CORPUS") or CHECKOUT.parent / "shared" / "corpus")
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.eml"))}


def as_sent(octets):
    """How a mail program sends it: an LF-only file with CRLF, and always with an end to the last line."""
    if b"\r" not in octets:
        octets = octets.replace(b"\n", b"\r\n")
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def is_sound(octets):
    """Whether every CR and LF is part of a CRLF."""
    rest = octets.replace(b"\r\n", b"")
    return b"\r" not in rest and b"\n" not in rest
