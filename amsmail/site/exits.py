"""Exit codes, from sysexits.h; `os` has them on Unix only."""

OK = 0              # done, or nothing to do
USAGE = 64          # the command line was wrong
UNAVAILABLE = 69    # refused for good: a person must do something
OSERR = 71          # a port cannot be bound
TEMPFAIL = 75       # not all was done; the next run may do it
NOPERM = 77         # this needs root
CONFIG = 78         # mail.cfg is wrong
