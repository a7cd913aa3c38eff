"""The text files of other programs."""


def text(path):
    """The text of the file at `path`.  What is no UTF-8 in it comes out as lone surrogates, which no check of a value
    lets pass, so that it is told.  Raises OSError."""
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        return f.read()
