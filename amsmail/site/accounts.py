"""Who may log in, and to which drop box."""

from amsmail.site import passwords

QUEUE = "queue"         # what login() gives for the login that picks the outbound queue up


def box_of(site, user):
    """The box that a user's name means: the box's own, or any of its addresses, since mail programs offer the address.
    None if it is no box's."""
    name = user.strip().casefold()
    return name if name in site.boxes else site.addresses.get(name)


def login(site, credentials):
    """The box that these Credentials open: (kind, name), kind 'box' or 'queue'; None if they are wrong."""
    if credentials.acting_for not in ("", credentials.user):
        return None
    name = credentials.user.strip().casefold()
    if name == site.queue["login"] and name:
        found = (QUEUE, name, site.queue["password"])
    else:
        box = box_of(site, name)
        found = ("box", box, site.boxes[box]["password"]) if box else (None, None, "")
    return found[:2] if passwords.verify(credentials.password, found[2]) else None
