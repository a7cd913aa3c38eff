"""Mail programs and fetchers read from pop3d."""

import os
import poplib
import pty
import re
import select
import shutil
import subprocess
from dataclasses import replace
from email import message_from_bytes

import pytest

from ..etc.clients import trusting
from ..real import clients
from ..real.packages import environment, tree
from .messages import EIGHT_BIT, MESSAGES, PLAIN, below_trace, on_wire
from .table import shows
from .yacht import READING, delivered, in_url


def ways(program, did, result, but=()):
    """A test by each of the ways to read."""
    return pytest.mark.parametrize("way", [
        pytest.param(way, marks=shows(program, did, result, way)) for way in READING if way not in but])


# Fetchers

PURE_FETCHMAIL = "--invisible", "--norewrite"
PURE_MPOP = "--received-header=off",


@ways("fetchmail", "fetches and deletes", "unchanged")
def test_fetchmail(way, yacht, tmp_path):
    yacht.put(MESSAGES)
    result = clients.fetchmail(yacht.reading(way), tmp_path, *PURE_FETCHMAIL, into=tmp_path / "inbox")
    assert result.code == 0, result.output
    assert delivered(tmp_path / "inbox") == sorted(MESSAGES)
    assert yacht.files() == []


@shows("fetchmail", "keeps, by UIDL, over three runs", "each is fetched once", "plain")
def test_fetchmail_keeps(yacht, tmp_path):
    def fetch():
        return clients.fetchmail(yacht.reading("plain"), tmp_path, "--keep", "--uidl", *PURE_FETCHMAIL,
                                 into=tmp_path / "inbox").code
    yacht.put([PLAIN, EIGHT_BIT])
    assert fetch() == 0
    nothing_new = 1
    assert fetch() == nothing_new
    yacht.put(MESSAGES[2:3])
    assert fetch() == 0
    assert delivered(tmp_path / "inbox") == sorted(MESSAGES[:3]) == sorted(yacht.files())


@ways("getmail", "fetches and deletes", "unchanged", but=["STLS"])        # which it hasn't
def test_getmail(way, yacht, tmp_path):
    yacht.put(MESSAGES)
    result = clients.getmail(yacht.reading(way), tmp_path, "--delete", into=tmp_path / "inbox")
    assert result.code == 0, result.output
    assert sorted(map(below_trace, delivered(tmp_path / "inbox"))) == sorted(MESSAGES)
    assert yacht.files() == []


@shows("getmail", "keeps, over two runs", "each is fetched once", "plain")
def test_getmail_keeps(yacht, tmp_path):
    yacht.put([PLAIN, EIGHT_BIT])
    for _ in range(2):
        result = clients.getmail(yacht.reading("plain"), tmp_path, "--new", "--dont-delete", into=tmp_path / "inbox")
        assert result.code == 0, result.output
    assert len(delivered(tmp_path / "inbox")) == len(yacht.files()) == 2


@ways("mpop", "fetches and deletes, pipelined", "unchanged")
def test_mpop(way, yacht, tmp_path):
    yacht.put(MESSAGES)
    result = clients.mpop(yacht.reading(way), tmp_path, "--pipelining=on", *PURE_MPOP, into=tmp_path / "inbox")
    assert result.code == 0, result.output
    assert delivered(tmp_path / "inbox") == sorted(MESSAGES)
    assert yacht.files() == []


@shows("mpop", "keeps, pipelined, over two runs", "each is fetched once", "plain")
def test_mpop_keeps(yacht, tmp_path):
    yacht.put([PLAIN, EIGHT_BIT])
    for _ in range(2):
        result = clients.mpop(yacht.reading("plain"), tmp_path, "--pipelining=on", "--keep", into=tmp_path / "inbox")
        assert result.code == 0, result.output
    assert len(delivered(tmp_path / "inbox")) == len(yacht.files()) == 2


@pytest.mark.parametrize("fetch, code", [
    pytest.param(fetch, code, marks=shows(
        fetch.__name__, "has a wrong password", "says so, fetches nothing", "plain"))
    for fetch, code in ((clients.fetchmail, 3), (clients.mpop, 77))])
def test_wrong_password(fetch, code, yacht, tmp_path):
    yacht.put([PLAIN])
    result = fetch(replace(yacht.reading("plain"), password="wrong"), tmp_path, into=tmp_path / "inbox")
    assert result.code == code, result.output
    assert "Wrong user or password" in result.output
    assert len(yacht.files()) == 1 and delivered(tmp_path / "inbox") == []


# curl and Python

@ways("curl", "LIST UIDL TOP RETR DELE", "sizes exact, unchanged")
def test_curl(way, yacht, tmp_path):
    server = yacht.reading(way)
    scheme = server.choose(none="pop3", starttls="pop3", implicit="pop3s")
    options = ["--user", f"{server.user}:{server.password}", "--output", tmp_path / "output"]
    options += ["--cacert", server.authority] if server.authority else []
    options += server.choose(none=[], starttls=["--ssl-reqd"], implicit=[])

    def curl(path, *more):
        (tmp_path / "output").write_bytes(b"")
        result = clients.curl(tmp_path, *options, *more, f"{scheme}://localhost:{server.port}/{path}")
        assert result.code == 0, result.output
        return (tmp_path / "output").read_bytes()

    yacht.put(MESSAGES)
    files = yacht.files()
    sizes = [f"{number} {len(on_wire(file))}" for number, file in enumerate(files, 1)]
    assert curl("").decode().split("\r\n") == [*sizes, ""]
    uids = [line.split()[1] for line in curl("", "--request", "UIDL").splitlines()]
    assert len(set(uids)) == len(files)
    for number, file in enumerate(files, 1):
        assert curl(number) == on_wire(file)
        header, _, _ = on_wire(file).partition(b"\r\n\r\n")
        assert curl("", "--request", f"TOP {number} 0") == header + b"\r\n\r\n"
    curl(1, "--request", "DELE", "--list-only")
    assert yacht.files() == files[1:]


@ways("Python", "poplib, every command", "sizes exact, unchanged")
def test_poplib(way, yacht):
    server = yacht.reading(way)
    if way == "implicit TLS":
        client = poplib.POP3_SSL("localhost", server.port, context=trusting(yacht), timeout=20)
    else:
        client = poplib.POP3("localhost", server.port, timeout=20)
    if way == "STLS":
        client.stls(context=trusting(yacht))
    yacht.put(MESSAGES)
    files = yacht.files()
    client.user(server.user)
    client.pass_(server.password)
    assert {"TOP", "UIDL", "PIPELINING", "RESP-CODES"} <= client.capa().keys()
    sizes = [len(on_wire(file)) for file in files]
    assert client.stat() == (len(files), sum(sizes))
    assert client.list()[1] == [f"{number} {size}".encode() for number, size in enumerate(sizes, 1)]
    assert len(client.uidl()[1]) == len(files)
    for number, file in enumerate(files, 1):
        assert b"\n".join([*client.retr(number)[1], b""]) == file
        header, _, body = file.partition(b"\n\n")
        assert b"\n".join(client.top(number, 1)[1]) == header + b"\n\n" + body.partition(b"\n")[0]
        client.dele(number)
    client.quit()
    assert yacht.files() == []


# mutt and s-nail

def mutt(home, folder, keys, settings=""):
    """Runs mutt at a terminal, as it reads nowhere else, and types."""
    (home / "muttrc").write_text(f"set folder={home}\n"       # else it asks whether to make one
                                 "set confirmcreate=no confirmappend=no mbox_type=Maildir delete=yes quit=yes move=no\n"
                                 f'set sort=mailbox-order wait_key=no pager=builtin\n{settings}push "{keys}"\n')
    variables = dict(os.environ) if shutil.which("mutt") else environment(tree("mutt"))
    terminal, end = pty.openpty()
    with open(terminal, "rb", buffering=0) as terminal:
        process = subprocess.Popen(["mutt", "-n", "-F", home / "muttrc", "-f", folder], cwd=home, stdin=end, stdout=end,
                                   stderr=end, env=variables | {"TERM": "xterm", "HOME": home, "LC_ALL": "C.UTF-8"})
        os.close(end)
        try:
            shown = _shown_at(terminal)
            assert process.wait(10) == 0, shown
        finally:
            process.kill()
            process.wait()


def _shown_at(terminal):
    """All that a program shows at a terminal until it ends."""
    shown = b""
    while select.select([terminal], [], [], 20)[0]:
        try:
            shown += terminal.read(4096)
        except OSError:         # nobody has the other end any more
            return shown
    raise TimeoutError(f"it waits for somebody to type: {shown}")


@ways("mutt", "by POP3 copies all, deletes one", "unchanged, one is gone")
def test_mutt_reads_by_pop3(way, yacht, tmp_path):
    yacht.put(MESSAGES)
    files = yacht.files()
    server = in_url(yacht.reading(way))
    scheme = server.choose(none="pop", starttls="pop", implicit="pops")
    trust = f'set certificate_file="{server.authority}"\n' if server.authority else ""
    tls = (f'set ssl_starttls={server.choose(none="no", starttls="yes", implicit="no")}\n'
           f'set ssl_force_tls={server.choose(none="no", starttls="yes", implicit="yes")}\n')
    mutt(tmp_path, f"{scheme}://{server.user}:{server.password}@localhost:{server.port}",
         f"<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/copy<enter><first-entry><delete-message><quit>",
         trust + tls)
    assert sorted(map(without_status, delivered(tmp_path / "copy"))) == sorted(MESSAGES)
    assert yacht.files() == files[1:]


def without_status(message):
    return re.sub(rb"(?m)^(Status|Lines|Content-Length): .*\n", b"", message, count=3)


@shows("mutt", "opens a drop box itself, reads one, deletes one", "pop3d's UIDs stay the same")
def test_mutt_opens_a_drop_box(yacht, tmp_path):
    def listed():
        client = poplib.POP3("localhost", yacht.ports["pop3"], timeout=20)
        client.user(server.user)
        client.pass_(server.password)
        uids = [line.split()[1] for line in client.uidl()[1]]
        contents = [b"\n".join([*client.retr(number)[1], b""]) for number in range(1, len(uids) + 1)]
        client.quit()
        return dict(zip(uids, contents))

    server = yacht.reading("plain")
    yacht.put(MESSAGES)
    before = listed()
    box = yacht.spool / "boxes/engineer"
    mutt(tmp_path, box, "<limit>~s8-bit<enter><first-entry><display-message><exit>"
                        "<limit>~sdots<enter><first-entry><delete-message><quit>")
    after = listed()
    assert [uid for uid in before if uid not in after] == [uid for uid in before if before[uid] == MESSAGES[2]]
    assert after == {uid: before[uid] for uid in after}
    [read] = [file for file in (box / "cur").iterdir() if file.name.endswith("S")]
    assert read.read_bytes() == EIGHT_BIT


@ways("s-nail", "by POP3 copies all, deletes one", "unchanged but its own >From")
def test_s_nail_reads_by_pop3(way, yacht, tmp_path):
    yacht.put(MESSAGES)
    files = yacht.files()
    server = in_url(yacht.reading(way))
    scheme = server.choose(none="pop3", starttls="pop3", implicit="pop3s")
    settings = ["v15-compat=yes", "newfolders=maildir", "keep", "hold"]
    settings += server.choose(none=[], starttls=["pop3-use-starttls"], implicit=[])
    if server.authority:
        settings += ["tls-verify=strict", f"tls-ca-file={server.authority}", "tls-ca-no-defaults"]
    options = [option for setting in settings for option in ("-S", setting)]
    url = f"{scheme}://{server.user}:{server.password}@localhost:{server.port}"
    commands = f"copy * maildir://{tmp_path}/copy\ndelete 1\nquit\n"
    result = clients.run(["s-nail"], ["s-nail", "-:", "/", "-#", *options, "-f", url], tmp_path, commands.encode())
    assert result.code == 0, result.output
    copies = [message.rstrip(b"\n") for message in delivered(tmp_path / "copy")]
    assert copies == sorted(map(as_s_nail_copies, MESSAGES))
    assert yacht.files() == files[1:]


def as_s_nail_copies(message):
    """It quotes lines that start with From, and ends a copy with an empty line if there is none."""
    return re.sub(rb"(?m)^From ", b">From ", message).rstrip(b"\n")


# The outbound queue

@ways("fetchmail", "picks the outbound queue up", "with envelopes; it is empty")
def test_fetchmail_picks_the_queue_up(way, yacht, tmp_path):
    for recipients in (["agent@port.example", "broker@port.example"], ["doctor@port.example"]):
        result = clients.msmtp(yacht.sending("plain"), tmp_path, "captain@yacht.example", recipients, EIGHT_BIT)
        assert result.code == 0, result.output
    result = clients.fetchmail(yacht.reading(way, "outbound"), tmp_path, *PURE_FETCHMAIL, into=tmp_path / "inbox")
    assert result.code == 0, result.output
    assert yacht.queued() == []
    found = delivered(tmp_path / "inbox")
    recipients = []
    for message in found:
        header = message_from_bytes(message)
        assert header["Amsmail-Sender"] == "<captain@yacht.example>"
        recipients.append(header.get_all("Amsmail-Recipient"))
        assert message.endswith(EIGHT_BIT)
    assert sorted(recipients) == [["- <agent@port.example>", "- <broker@port.example>"], ["- <doctor@port.example>"]]
