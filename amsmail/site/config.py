"""mail.cfg as the programs see it.

A server process is started for every connection, and ConfigObj with its validation takes longer to import than all the
rest of the start.  So the validated contents are kept, compiled, in the spool; they count only as long as mail.cfg is
the very file they were made from (device, inode, size, times, mode, owner), and only if this user wrote them.
Otherwise, and whenever anything about them is odd, mail.cfg itself is read (config_file).
"""

import marshal
import os
import sys
import time

from amsmail import __version__
from amsmail.site import libraries
from amsmail.site.config_error import ConfigError, check_kind

DEFAULT_PATH = "/etc/amsmail/mail.cfg"
DEFAULT_SPOOL = "/var/spool/amsmail"
_SETTLED = 2        # seconds: a file changed more recently may change again without its times telling


class Site:
    """What mail.cfg says, checked and converted.

    hostname, spool, postmaster: str.  relay_from, cleartext_login_from: lists of (network, mask) as made by
    `networks.parse`.  limits: {key: int}.  certificate, key: path or ''.  domains: {name: 'refuse' | 'relay'}.
    boxes: {name: {'password': hash, 'addresses': [...]}}.  addresses: {Address.key: box}.  queue: {'login',
    'password'}. relay: {...} with host '' where there is none.  accounts, links: {name: {...}}, in the file's order.
    calls: {'use', 'schedule', 'urgent_from'}.
    """

    def __init__(self, path, data, identity=None):
        self.path = path
        self.identity = identity        # of the file that it was made from: see current()
        self.hostname = data["site"]["hostname"]
        self.spool = data["site"]["spool"]
        self.postmaster = data["site"]["postmaster"]
        self.relay_from = data["site"]["relay_from"]
        self.cleartext_login_from = data["tls"]["cleartext_login_from"]
        self.certificate = data["tls"]["certificate"]
        self.key = data["tls"]["key"]
        self.limits = data["limits"]
        self.domains = data["domains"]
        self.boxes = data["boxes"]
        self.addresses = data["addresses"]
        self.queue = data["queue"]
        self.relay = data["relay"]
        self.accounts = data["accounts"]
        self.links = data["links"]
        self.calls = data["calls"]


def load(path):
    """The Site of the mail.cfg at `path`.  Raises ConfigError."""
    path = os.path.abspath(path)
    try:
        identity = _identity(path)
        check_kind(path, identity[5])
        data = _read_compiled(path, identity)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    if data is None:
        libraries.reach()
        from amsmail.site import config_file
        data = config_file.read(path)
        _write_compiled(path, identity, data)
    return Site(path, data, identity)


def current(site):
    """The Site as mail.cfg says it now: `site` itself while that is the very file that it was made from, and also where
    it is gone or wrong now: what began under a good one may end under it."""
    try:
        return site if _identity(site.path) == site.identity else load(site.path)
    except (OSError, ConfigError):
        return site


def _identity(path):
    s = os.stat(path)
    return (s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_mode, s.st_uid)


def _compiled_path(path):
    """Where the compiled form may lie.  A glance at mail.cfg is enough: the form says what it was made of."""
    with open(path, "rb", buffering=0) as f:
        for line in f.read().split(b"\n"):
            key, _, value = line.partition(b"=")
            if key.strip() == b"spool":
                return os.path.join(os.fsdecode(value.strip(b" \t\r\"'")), "state", "mail.cfg.compiled")
    return os.path.join(DEFAULT_SPOOL, "state", "mail.cfg.compiled")


def _stamp(path, identity):
    return (__version__, __file__, sys.implementation.cache_tag, path, identity)


def _read_compiled(path, identity):
    try:
        with open(_compiled_path(path), "rb", buffering=0) as f:
            s = os.fstat(f.fileno())
            if os.name != "nt" and (s.st_uid != os.geteuid() or s.st_mode & 0o022):
                return None
            stamp, data = marshal.loads(f.read())
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return data if stamp == _stamp(path, identity) else None


def _write_compiled(path, identity, data):
    from amsmail.store import durable
    try:
        spool = data["site"]["spool"]
        if os.name != "nt" and os.stat(spool).st_uid != os.geteuid():
            return      # a file of root's would lock the spool's owner out
        if time.time() - os.stat(path).st_mtime > _SETTLED and identity == _identity(path):
            target = os.path.join(spool, "state", "mail.cfg.compiled")
            durable.make_directory(os.path.dirname(target))
            durable.replace(target, marshal.dumps((_stamp(path, identity), data)))
    except OSError:
        pass        # it is only a short cut
