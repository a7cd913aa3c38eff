"""Where the libraries of others are found by a launcher that started the interpreter without `site` (-IS).

`site` costs as much as all that a server imports itself, and most connections need no library; so its path is set up
when the first one is wanted.
"""

import sys

# What is imported of others: its name on PyPI, and behind python3- in Debian, which has cronsim from 13 on.
_NAMES = {"configobj": "configobj", "passlib": "passlib", "dns": "dnspython", "cronsim": "cronsim", "tqdm": "tqdm"}


def reach():
    """Makes installed libraries importable if they are not yet."""
    if "site" not in sys.modules:
        import site
        site.main()


def missing(error):
    """Which library is not there, where this ModuleNotFoundError says so, and what to do about it, in words; '' where
    it is about a module of another kind."""
    name = _NAMES.get((error.name or "").partition(".")[0])
    if not name:
        return ""
    return (f"the Python library {name} is missing: amsmail's scripts/install brings it along; or install it with "
            f"{sys.executable} -m pip install {name} (for Debian's own Python: apt-get install python3-{name})")
