"""The configurations of other programs that fetch mail, as accounts of mail.cfg.

Each function takes the text of a file, and the names of the accounts that mail.cfg has already, and gives Imported.
What an option did there and nothing does here is listed, never dropped in silence.
"""

from amsmail.setup.imports.fetchmail import fetchmailrc
from amsmail.setup.imports.getmail import getmailrc
from amsmail.setup.imports.mpop import mpoprc

FORMATS = {"fetchmailrc": fetchmailrc, "getmailrc": getmailrc, "mpoprc": mpoprc}
