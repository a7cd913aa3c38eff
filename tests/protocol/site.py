"""The site that the dialogues talk to, and what lies in its spool."""

import os
from pathlib import Path

from configobj import ConfigObj

# The hash of `secret`, with few rounds: a test need not be slow to be safe.
_SECRET = "$pbkdf2-sha256$1000$ytm7NwbAeK91bu1da.3d2w$skXfjL8POTd.y8M5czphH1w7P.JnjPQ8M1azYuSWsak"
_CONFIG = f"""\
schema = 1
[site]
hostname = yacht.example
postmaster = captain
relay_from = 127.0.0.1
[limits]
[tls]
cleartext_login_from = 127.0.0.1, 127.0.0.8
[domains]
  [[yacht.example]]
  [[friends.example]]
  unknown = relay
[boxes]
  [[captain]]
  password = {_SECRET}
  addresses = captain, captain@[192.0.2.1], captain@provider.example
  [[cook]]
  password = {_SECRET}
  addresses = cook, "chief@galley"@yacht.example, køk@yacht.example
[queue]
login = outbound
password = {_SECRET}
[relay]
host = relay.example
"""


class Site:
    """A site in `folder`.  `changes` are (section, key, value) for mail.cfg."""

    def __init__(self, folder, changes=()):
        self._spool = folder / "spool"
        config = ConfigObj(_CONFIG.splitlines(), list_values=False, interpolation=False)
        for section, key, value in [("site", "spool", str(self._spool)), *changes]:
            config[section][key] = value
        path = folder / "mail.cfg"
        path.write_text("\n".join(config.write()), encoding="utf-8")
        path.chmod(0o600)
        os.utime(path, (1, 1))      # so old that the programs keep its compiled form

    def put(self, place, octets):
        """Puts a message, or a file of state/, into the spool at `place`, as another program does."""
        path = self._spool / place
        for folder in ("tmp", "new", "cur", path.parent.name):
            (path.parent.parent / folder).mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)

    def move(self, old, new):
        """Renames a message, as a mail reader does that has seen it.  A * stands for a part that is not known."""
        (found,) = self._spool.glob(old)
        found.rename(self._spool / new.replace("*", found.name))

    def messages(self):
        """{path: octets} of every message that a reader would see, as paths below the spool."""
        folders = [*self._spool.glob("boxes/*"), self._spool / "queue", self._spool / "state/requests"]
        paths = [path for folder in folders for part in ("new", "cur") for path in sorted(folder.glob(f"{part}/*"))]
        return {str(path.relative_to(self._spool)): path.read_bytes() for path in paths}

    def unfinished(self):
        """What lies where messages are written before they count."""
        found = [*self._spool.glob("boxes/*/tmp/*"), *self._spool.glob("queue/tmp/*"),
                 *self._spool.glob("state/requests/tmp/*"), *self._spool.glob("state/commits/*")]
        return [str(Path(path).relative_to(self._spool)) for path in found]
