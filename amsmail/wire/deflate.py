"""Raw deflate in both directions (RFC 1951), as IMAP's COMPRESS uses it (RFC 4978)."""

import zlib

_PIECE = 1 << 16        # octets that are inflated at a time: a few kB may stand for many MB


class DeflateError(Exception):
    """Octets that are not what a deflating peer sends."""


class Inflater:
    """What came, and what it stands for, piece by piece."""

    def __init__(self):
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._waiting = b""

    def add(self, data):
        self._waiting += data

    def take(self):
        """The next piece, b'' if more must come first.  Raises DeflateError."""
        try:
            piece = self._zlib.decompress(self._waiting, _PIECE)
        except zlib.error as error:
            raise DeflateError(f"the compressed stream is broken: {error}") from error
        self._waiting = self._zlib.unconsumed_tail
        if self._zlib.eof and not piece:
            raise DeflateError("the compressed stream has ended")
        return piece


class Deflater:
    """Gives each piece so that the peer can read all of it at once."""

    def __init__(self):
        self._zlib = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def feed(self, data):
        return self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
