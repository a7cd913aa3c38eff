"""The mail.cfg that a new site begins with."""

from amsmail.setup.ask.forms import CERTIFICATE, SITE
from amsmail.site.config import DEFAULT_SPOOL

# Comments for whoever reads the file later; what most sites leave alone is not in it.
_LINES = """\
# mail.cfg: all there is to say about this site.  See mail.cfg(5).
# mailcfg, mailtransportcfg and mailcheckcfg change it and keep what else stands here; so may you.

# The version of this file's layout.
schema = 1

# This site: its name, where its mail lies, whose box is postmaster's, and who may send to anywhere without a login.
[site]
spool = {spool}
relay_from = {relay_from}

# Whose mail programs may log in without TLS.
[tls]
cleartext_login_from = {cleartext_login_from}

# The domains whose mail belongs here.
[domains]

# The drop boxes.
[boxes]

# The provider's server that takes our mail to everywhere else.  Without it mail to others is refused.
[relay]

# Boxes at providers that are emptied into ours at each call.
[accounts]

# How we get there.  Without one the network is taken to be there.
[links]
"""


def lines():
    """The lines of a mail.cfg without a domain and a box."""
    return _LINES.format(spool=DEFAULT_SPOOL, relay_from=SITE.question("relay_from").default,
                         cleartext_login_from=CERTIFICATE.question("cleartext_login_from").default).splitlines()
