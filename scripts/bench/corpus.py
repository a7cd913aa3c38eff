"""The messages to carry, made here and the same on every machine.

Headers are as long as they are today (a chain of Received, DKIM and ARC signatures on what comes in), text has the
statistics of text (a few words make up most of it), HTML repeats itself, and pictures are base64 of noise, since a JPEG
does not compress.  Only random.Random.random and SHAKE are used, which give the same numbers on every Python.
"""

import base64
import hashlib
import itertools
import random
from bisect import bisect

SENDER, RECIPIENT = "captain@yacht.example", "agent@shore.example"

# Octets of each message.
TEXTS = {
    "out": (2100, 3000, 4200, 5600, 7300, 8400, 10900),
    "in": (4000, 4100, 4200, 4500, 4800, 5100, 5400, 5700, 6000, 6300, 6600, 7000, 7500, 8800),
}
PAGES = {"out": (40500,), "in": (20000, 28000, 34000, 35000)}
PICTURES = {"out": (43000, 43000), "in": (42000, 42000)}
SMALL = {"out": 2000, "in": 4000}       # each of many

COMMON = """the of and to in a is that for it was on are as with his they at be this from I have or by one had not but
what all were when we there can an your which their said if do will each about how up out them then she
many some so these would other into has more her two like him see time could no make than first been its
who now people my made over did down only way find use may water long little very after words called just
where most know""".split()
SYLLABLES = ("an be car den el fer gan hol is jor ket lin mar nor ost per quin ras ster tion und ver wil yard ing ment "
             "al con de ex ment port ship wind sea an er est ly ness age tra sol com pre").split()


class Writer:
    """Writes text from a seed."""

    def __init__(self, *seed):
        self._seed = "/".join(map(str, seed))
        self._random = random.Random(self._seed).random
        self._noise = 0

    def number(self, limit):
        return int(self._random() * limit)

    def word(self):
        return WORDS[bisect(WEIGHTS, self._random() * WEIGHTS[-1])]

    def sentence(self):
        words = [self.word() for _ in range(5 + self.number(14))]
        if self.number(3) == 0:
            words.insert(len(words) // 2, str(self.number(10000)))
        return " ".join(words).capitalize() + "."

    def lines(self, width=72):
        """Endless text in lines, with a blank one after each paragraph."""
        while True:
            line = ""
            for _ in range(2 + self.number(5)):
                for word in self.sentence().split():
                    if len(line) + len(word) >= width:
                        yield line
                        line = ""
                    line += (" " if line else "") + word
            yield line
            yield ""

    def noise(self, octets):
        self._noise += 1
        return hashlib.shake_256(f"{self._seed}/{self._noise}".encode()).digest(octets)

    def base64(self, octets):
        return base64.b64encode(self.noise(octets)).decode()

    def identifier(self):
        return self.noise(8).hex()


def _vocabulary():
    invent = Writer("vocabulary")
    invented = ("".join(SYLLABLES[invent.number(len(SYLLABLES))] for _ in range(1 + invent.number(3)))
                for _ in range(6000))
    return list(dict.fromkeys(itertools.chain(COMMON, invented)))


WORDS = []
WEIGHTS = [1.0]
WORDS = _vocabulary()
WEIGHTS = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(WORDS))))


def messages(direction, text_only=False, count=None):
    """The messages that go `direction` ("out" or "in"), with CRLF line ends; or `count` small ones."""
    if count is not None:
        kinds = [(_text, SMALL[direction])] * count
    else:
        kinds = [(_text, octets) for octets in TEXTS[direction]]
        if not text_only:
            kinds += [(_page, octets) for octets in PAGES[direction]]
            kinds += [(_picture, octets) for octets in PICTURES[direction]]
    # Not by size: the large ones come as they do in life, among the others.
    order = sorted(range(len(kinds)), key=lambda n: Writer("order", direction, n).number(1000))
    return [_message(Writer(direction, n), direction, *kinds[n]) for n in order]


def digest(texts):
    """Identifies a corpus."""
    whole = hashlib.sha256()
    for text in texts:
        whole.update(hashlib.sha256(text).digest())
    return whole.hexdigest()[:16]


def body_digest(text):
    """Identifies a message on whatever side of whatever transport: its body, whatever the line ends are."""
    _, _, body = text.replace(b"\r\n", b"\n").partition(b"\n\n")
    return hashlib.sha256(body.rstrip(b"\n")).hexdigest()


def _message(writer, direction, make_body, octets):
    fields, lines = make_body(writer, octets)
    header = (_trace(writer) if direction == "in" else []) + _origin(writer, direction) + fields
    text = "\r\n".join(header) + "\r\n\r\n"
    # The last part takes up what is missing.
    opening, filling, closing = lines
    room = octets - len(text) - sum(len(line) + 2 for line in opening + closing)
    filled = []
    for line in filling:
        line = line[:room - 2]
        filled.append(line)
        room -= len(line) + 2
        if room < 2:
            break
    return (text + "".join(line + "\r\n" for line in opening + filled + closing)).encode()


def _text(writer, octets):
    quoted = [f"> {line}".rstrip() for line in itertools.islice(writer.lines(), octets // 400)]
    opening = [f"On 20 November {writer.word()} wrote:", *quoted, ""]
    closing = ["", "-- ", "Motor yacht Aurelia, at sea"]
    return ['Content-Type: text/plain; charset="us-ascii"', "Content-Transfer-Encoding: 7bit"], (
        opening, writer.lines(), closing)


def _page(writer, octets):
    boundary = f"=_{writer.identifier()}"
    plain = list(itertools.islice(writer.lines(), octets // 500))
    opening = [f"--{boundary}", 'Content-Type: text/plain; charset="us-ascii"', "", *plain,
               f"--{boundary}", 'Content-Type: text/html; charset="us-ascii"', "", "<html><head><style>",
               *(f".c{n} {{ font-family: Arial, Helvetica, sans-serif; font-size: {n}px; color: #333333; }}"
                 for n in range(10, 30)), "</style></head><body>"]
    rows = (f'<tr><td class="c{10 + writer.number(20)}" style="padding: 0 10px 0 10px; border: 0"><p>{line}</p></td>'
            "</tr>" for line in writer.lines(60) if line)
    closing = ["</body></html>", f"--{boundary}--"]
    return [f'Content-Type: multipart/alternative; boundary="{boundary}"'], (opening, rows, closing)


def _picture(writer, octets):
    boundary = f"=_{writer.identifier()}"
    opening = [f"--{boundary}", 'Content-Type: text/plain; charset="us-ascii"', "",
               *itertools.islice(writer.lines(), 8), f"--{boundary}",
               f'Content-Type: image/jpeg; name="IMG_{1000 + writer.number(9000)}.jpg"',
               "Content-Disposition: attachment", "Content-Transfer-Encoding: base64", ""]
    return [f'Content-Type: multipart/mixed; boundary="{boundary}"'], (
        opening, (writer.base64(57) for _ in itertools.count()), [f"--{boundary}--"])


def _origin(writer, direction):
    sender, recipient = (SENDER, RECIPIENT) if direction == "out" else (RECIPIENT, SENDER)
    return [f"From: {writer.word().capitalize()} <{sender}>", f"To: {recipient}", f"Subject: {writer.sentence()[:60]}",
            f"Date: Fri, 20 Nov 2026 {10 + writer.number(10)}:{10 + writer.number(50)}:{10 + writer.number(50)} +0000",
            f"Message-ID: <{writer.identifier()}@{sender.partition('@')[2]}>",
            f"References: <{writer.identifier()}@mail.example>", f" <{writer.identifier()}@mail.example>",
            "User-Agent: Mozilla Thunderbird", "MIME-Version: 1.0"]


def _trace(writer):
    """What the servers on its way put on top of a message."""
    fields = []
    for hop in range(4):
        fields += [f"Received: from mail-{writer.identifier()[:6]}.out{hop}.example (mail-{writer.number(99)}.out{hop}"
                   f".example [192.0.2.{writer.number(255)}])",
                   f"\tby mx{writer.number(9)}.in{hop}.example (Postfix) with ESMTPS id {writer.identifier().upper()}",
                   f"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)) for <{SENDER}>;",
                   f"\tFri, 20 Nov 2026 2{writer.number(4)}:{10 + writer.number(50)}:{10 + writer.number(50)} +0000"
                   " (UTC)"]
    fields += ["Authentication-Results: mx.shore.example;", "\tdkim=pass header.d=shore.example header.s=s2026;",
               f"\tspf=pass smtp.mailfrom={RECIPIENT}; dmarc=pass (p=NONE) header.from=shore.example"]
    fields += _signature(writer, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=shore.example; s=s2026;")
    fields += _signature(writer, "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=in3.example; s=arc;")
    return fields + _signature(writer, "ARC-Seal: i=1; a=rsa-sha256; t=1795200000; cv=none; d=in3.example; s=arc;")


def _signature(writer, start):
    value = writer.base64(256)
    return [start, "\th=from:to:subject:date:message-id:references:mime-version:content-type;",
            f"\tbh={writer.base64(32)};", f"\tb={value[:70]}",
            *(f"\t {value[n:n + 72]}" for n in range(70, len(value), 72))]
