"""What a connection costs to start: a process for each, as inetd makes them.

Runs amsmail's smtpd and pop3d, the bare interpreter, and Exim (from Debian's package, unpacked below ~/.cache/amsmail),
which inetd can start as well, one after the other, round by round, on a socket pair as stdin and stdout: greeting, one
command, QUIT.  Prints the medians of a session's time and processor time, and the ratio of the latter to the bare
interpreter's.  (Exim waits before its greeting; its processor time is what compares.)
"""

import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from amsmail.program import launchers
from tests.real import packages

SMTP, POP3 = (b"EHLO bench.example\r\n", b"250 "), (b"CAPA\r\n", b"\r\n.\r\n")


def session(command, dialogue, environment):
    """One session with `command` on a socket, as inetd starts it; gives (seconds to the last reply, processor seconds)."""
    ours, theirs = socket.socketpair()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)
    theirs.close()
    ours.settimeout(10)
    if dialogue:
        said, end = dialogue
        expect(ours, b"\r\n")
        ours.sendall(said)
        expect(ours, end)
        ours.sendall(b"QUIT\r\n")
        expect(ours, b"\r\n")
        took = time.perf_counter() - begun
    while ours.recv(4096):
        pass
    ours.close()
    process.wait()
    took = took if dialogue else time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def expect(sock, text):
    """Reads until `text` was seen."""
    seen = b""
    while text not in seen:
        piece = sock.recv(4096)
        if not piece:
            raise SystemExit(f"the server closed the connection after {seen!r}")
        seen += piece


def candidates(folder):
    """(name, command, dialogue, environment) of each program to measure."""
    config = folder / "mail.cfg"
    config.write_text(f"schema = 1\n[site]\nhostname = bench.example\nspool = {folder}/spool\npostmaster = captain\n"
                      "[domains]\n[[bench.example]]\n[boxes]\n[[captain]]\n")
    config.chmod(0o640)
    launchers.write(folder / "sbin", str(config))
    env = {**os.environ, "TCPREMOTEIP": "127.0.0.1"}
    yield "bare interpreter (python -IS)", [sys.executable, "-IS", "-c", "import os; os._exit(0)"], None, env
    yield "amsmail smtpd", [folder / "sbin/smtpd"], SMTP, env
    yield "amsmail pop3d", [folder / "sbin/pop3d"], POP3, env
    yield "amsmail smtpd, without compiled mail.cfg", [folder / "sbin/smtpd", folder / "fresh.cfg"], SMTP, env
    try:
        yield "exim4 -bs", *exim(folder)
    except packages.Unavailable as error:
        print(f"exim4 -bs is not measured: {error}")


def exim(folder):
    """(command, dialogue, environment) of Exim on stdin and stdout.  It insists on its own user: a library in front of
    the C library's user database provides one, so that nothing is installed."""
    tree = packages.tree("exim4-daemon-light")
    wrapper = next(packages.tree("libnss-wrapper").glob("usr/lib/*/libnss_wrapper.so"))
    for name, line in (("passwd", "Debian-exim:x:990:990::/:/bin/false\n"), ("group", "Debian-exim:x:990:\n")):
        (folder / name).write_text(pathlib.Path("/etc", name).read_text() + line)
    folder.chmod(0o711)
    (folder / "exim").mkdir()
    (folder / "exim").chmod(0o777)      # that user's own
    config = folder / "exim.conf"
    config.write_text(f"spool_directory = {folder}/exim\nlog_file_path = {folder}/exim/%s.log\nkeep_environment =\n"
                      "primary_hostname = bench.example\ndisable_ipv6\n")
    return ([str(tree / "usr/sbin/exim4"), "-bs", "-C", str(config)], SMTP,
            {**packages.environment(tree), "LD_PRELOAD": str(wrapper), "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
             "NSS_WRAPPER_GROUP": str(folder / "group")})


def main(rounds):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        measured = {name: ([], command, dialogue, env) for name, command, dialogue, env in candidates(folder)}
        time.sleep(2.1)         # a file that changed just now is not compiled
        for n in range(rounds + 1):
            (folder / "fresh.cfg").unlink(missing_ok=True)
            (folder / "fresh.cfg").write_text((folder / "mail.cfg").read_text())
            (folder / "fresh.cfg").chmod(0o640)
            for figures, command, dialogue, env in measured.values():
                figure = session(command, dialogue, env)
                if n:           # the first round fills caches
                    figures.append(figure)
    floor = None
    print(f"{'':<44} {'ms':>7} {'cpu ms':>7} {'cpu ratio':>10}")
    for name, (figures, *_) in measured.items():
        took, cpu = (1000 * statistics.median(values) for values in zip(*figures))
        floor = floor or cpu
        print(f"{name:<44} {took:7.1f} {cpu:7.1f} {cpu / floor:10.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 40)
