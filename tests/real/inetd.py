"""Super-servers, which start a program for each connection. The caller gives the configuration, and the ports in it."""

from contextlib import contextmanager

from .packages import environment, tree
from .process import running


@contextmanager
def openbsd_inetd(folder, configuration, ports):
    root = tree("openbsd-inetd")
    folder.mkdir()
    (folder / "inetd.conf").write_text(configuration)
    with running([root / "usr/sbin/inetd", "-i", folder / "inetd.conf"], ports, folder, environment(root)):
        yield


@contextmanager
def xinetd(folder, configuration, ports):
    root = tree("xinetd")
    folder.mkdir()
    (folder / "xinetd.conf").write_text(configuration)
    command = [root / "usr/sbin/xinetd", "-dontfork", "-f", folder / "xinetd.conf", "-pidfile", folder / "pid",
               "-filelog", folder / "log"]
    with running(command, ports, folder, environment(root)):
        yield
