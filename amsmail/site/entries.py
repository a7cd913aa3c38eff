"""The entries of a box's `addresses`, and what each stands for."""


def entries(words, box):
    """The entries of a box, given the words that its `addresses` holds: without any, its own name."""
    return list(words) or [box]


def whole(entry, domains):
    """The addresses (text) that an entry stands for: itself, or without an @ that name at each of these domains."""
    return [entry] if "@" in entry else [f"{entry}@{domain}" for domain in domains]
