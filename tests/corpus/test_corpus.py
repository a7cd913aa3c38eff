"""Real and awkward mail goes in by SMTP and out by POP3 and to a relay without a changed octet, or is refused."""

import hashlib
import poplib
import smtplib
import threading

import pytest

from amsmail.program.serve import Server
from amsmail.site import config, passwords
from amsmail.site.log import Log
from amsmail.store.spool import Spool
from amsmail.transport.call import Call
from amsmail.transport.push import due, push
from tests.corpus.messages import as_sent, awkward, corpus, is_sound

TRACE = {b"return-path", b"received"}


class Site:
    """A site served by the embedded super-server."""

    def __init__(self, folder, hostname, box, hashed, more=""):
        self.path = folder / f"{hostname}.cfg"
        self.path.write_text(f"schema = 1\n[site]\nhostname = {hostname}\nspool = {folder / hostname}\n"
                             f"postmaster = {box}\n"
                             f"[limits]\nerrors = 1000\n[domains]\n[[{hostname}]]\n[boxes]\n[[{box}]]\n"
                             f"password = {hashed}\n{more}")
        self.path.chmod(0o640)
        self.server = Server(str(self.path))
        self.smtp = self.server.listen("smtp", "127.0.0.1", 0)
        self.pop3 = self.server.listen("pop3", "127.0.0.1", 0)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.stop()
        self.thread.join()
        self.server.close()

    def fetch_all(self, user):
        """Every message of a box, deleted there, as {digest without trace: octets}."""
        pop = poplib.POP3(*self.pop3)
        poplib._MAXLINE = 1 << 20       # the standard library's own limit on a line
        pop.user(user)
        pop.pass_("secret")
        found = {}
        for number in range(1, pop.stat()[0] + 1):
            reply, lines, _ = pop.retr(number)
            octets = b"".join(line + b"\r\n" for line in lines)
            assert int(reply.split()[1]) == len(octets) == int(pop.list(number).split()[2])
            found[digest(without_trace(octets))] = octets
            pop.dele(number)
        pop.quit()
        return found


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    hashed = passwords.hashed("secret")
    ashore = Site(folder, "provider.example", "colleague", hashed)
    host, port = ashore.smtp
    yacht = Site(folder, "yacht.example", "captain", hashed, f"[relay]\nhost = {host}\nport = {port}\ntls = none\n")
    yield yacht, ashore
    yacht.close()
    ashore.close()


def without_trace(octets):
    """The message below the trace fields that our servers put on top: Return-Path, then Received fields."""
    lines = octets.split(b"\r\n")
    while lines[0].partition(b":")[0].lower() in TRACE and b"example" in b" ".join(lines[:3]):
        del lines[0]
        while lines[0][:1] in (b" ", b"\t"):
            del lines[0]
    return b"\r\n".join(lines)


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


def by_data(smtp, octets):
    return smtp.data(octets)


def by_bdat(smtp, octets):
    """In chunks of 40,000 octets."""
    pieces = [octets[at:at + 40_000] for at in range(0, len(octets), 40_000)]
    for piece in pieces[:-1]:
        smtp.send(b"BDAT %d\r\n" % len(piece) + piece)
        code, text = smtp.getreply()
        if code != 250:
            return code, text
    smtp.send(b"BDAT %d LAST\r\n" % len(pieces[-1]) + pieces[-1])
    return smtp.getreply()


def send_all(address, recipients, messages, how):
    """Sends each message; gives the names of those that were accepted, and asserts that only unsound ones were not."""
    accepted = []
    smtp = smtplib.SMTP(*address)
    smtp.ehlo("client.example")
    for name, octets in messages.items():
        smtp.mail("a@client.example", ["BODY=8BITMIME", f"SIZE={len(octets)}"])
        for recipient in recipients:
            assert smtp.rcpt(recipient)[0] == 250
        code, text = how(smtp, octets)
        assert (code == 250) == is_sound(octets), (name, code, text)
        if code == 250:
            accepted.append(name)
        else:
            assert code == 550 and text.startswith(b"5.6.0"), (name, code, text)
        smtp.rset()
    smtp.quit()
    return accepted


@pytest.mark.parametrize("how", [by_data, by_bdat])
@pytest.mark.parametrize("source", [awkward, corpus] if corpus() else [awkward])
def test_every_octet_is_carried(sites, source, how):
    yacht, ashore = sites
    messages = {name: as_sent(octets) for name, octets in source().items()}
    accepted = send_all(yacht.smtp, ["captain@yacht.example", "colleague@provider.example"], messages, how)
    expected = {digest(without_trace(messages[name])) for name in accepted}
    assert set(yacht.fetch_all("captain")) == expected

    site = config.load(str(yacht.path))
    spool = Spool(site.spool, site.hostname)
    log = Log(lambda line: None, "test")
    with spool.lock("queue"):
        waiting = due(spool, log, 0, everything=True)
        assert len(waiting) == len(accepted)
        result = push(site, spool, waiting, Call(), log, lambda octets: None)
    assert (result.failures, result.refused, result.kept, result.done) == ([], 0, 0, len(accepted))
    assert set(ashore.fetch_all("colleague")) == expected
