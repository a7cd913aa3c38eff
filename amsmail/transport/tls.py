"""TLS through ssl's memory BIOs, so that it works over whatever a Stream carries.  Imported only when used."""

import hashlib
import hmac
import ssl

from amsmail.transport.carrier import StreamError, Untrusted


def server_context(certificate, key):
    """A context for a server.  Raises StreamError if the certificate or the key is of no use."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")      # else OpenSSL asks for one, at whatever terminal
    except (OSError, ssl.SSLError) as error:
        raise StreamError(f"certificate {certificate} and key {key} cannot be used: {error}") from error
    return context


# SSL_OP_TLSEXT_PADDING, which `ssl` does not name: OpenSSL fills a client's first message up to 512 octets for load
# balancers of 2013 that hung on shorter ones.  At 2400 bit/s that is most of a second in each connection.
_PADDING = 0x10


class ClientTls:
    """How a client makes sure of its server: by the certificate's authority and name, or by a pinned fingerprint (64
    hex digits of SHA-256), which replaces both.  Raises Untrusted if `ca_file` is of no use."""

    def __init__(self, ca_file="", fingerprint=""):
        self.fingerprint = fingerprint
        try:
            self.context = ssl.create_default_context(cafile=ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise Untrusted(f"ca_file {ca_file} cannot be used: {error}") from error
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options &= ~_PADDING
        if fingerprint:
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE        # the fingerprint is compared instead, see Session


class Session:
    """TLS on one connection.  `context` is a server's SSLContext, or a ClientTls with the server's name."""

    def __init__(self, context, server_name=None):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._fingerprint = ""
        if server_name is not None:
            self._fingerprint = context.fingerprint
            context = context.context
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=server_name is None,
                                     server_hostname=server_name)

    def receive(self, data):
        """Bytes from the carrier; empty means that the peer closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def output(self):
        """Bytes for the carrier."""
        return self._outgoing.read()

    def handshake(self):
        """True once it is done; False if more bytes are needed.  Raises StreamError, also for a wrong fingerprint."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"the TLS handshake failed: {_words(error)}") from error
        except (ssl.SSLError, OSError) as error:
            raise StreamError(f"the TLS handshake failed: {_words(error)}") from error
        if self._fingerprint:
            found = hashlib.sha256(self._ssl.getpeercert(binary_form=True) or b"").hexdigest()
            if not hmac.compare_digest(found, self._fingerprint):
                raise Untrusted(f"the TLS handshake failed: the certificate's fingerprint is sha256:{found}, not the "
                                  "one in mail.cfg")
        return True

    @property
    def description(self):
        """The protocol and the cipher, for the log and the Received field."""
        return f"{self._ssl.version()} {self._ssl.cipher()[0]}"

    def read(self):
        """Decrypted bytes, b'' once the peer closed, None if more bytes are needed.  Raises StreamError."""
        try:
            return self._ssl.read(1 << 16)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise StreamError(f"TLS failed: {_words(error)}") from error

    def write(self, data):
        """Encrypts `data` into output().  Raises StreamError."""
        try:
            self._ssl.write(data)
        except ssl.SSLError as error:
            raise StreamError(f"TLS failed: {_words(error)}") from error

    def close(self):
        """Says that no more will be sent."""
        try:
            self._ssl.unwrap()
        except (ssl.SSLError, OSError):
            pass        # the peer's own good-bye is not waited for


def _words(error):
    return getattr(error, "verify_message", "") or getattr(error, "reason", "") or str(error)
