"""Where the libraries of others are found by a launcher that started the interpreter without `site` (-IS).

`site` costs as much as all that a server imports itself, and most connections need no library; so its path is set up
when the first one is wanted.
"""

import sys


def reach():
    """Makes installed libraries importable if they are not yet."""
    if "site" not in sys.modules:
        import site
        site.main()
