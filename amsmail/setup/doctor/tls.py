"""The certificate: a handshake of our own server's context with a client that believes it alone, all in memory, says
what a mail program would see.  OpenSSL checks dates, key and name as it does for everybody."""

import os
import ssl
import stat

from amsmail.setup.doctor.world import fine, note, wrong
from amsmail.transport.carrier import StreamError
from amsmail.transport.tls import server_context

_SOON = 14 * 86400          # seconds before its end that a certificate is told of
_NO_CHECK_TIME = 0x200000   # X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name
_MISMATCH = 62              # X509_V_ERR_HOSTNAME_MISMATCH

# The reason that OpenSSL gives where it takes a certificate and not its key -> words
_OTHER_KEY = "{key} is not the key made with the certificate {certificate}"
_WHY = {
    None: "{key} holds no key in PEM that can be used without a password",
    "KEY_VALUES_MISMATCH": _OTHER_KEY,
    "KEY_TYPE_MISMATCH": _OTHER_KEY,
    "NO_CERTIFICATE_ASSIGNED": _OTHER_KEY,      # of that type
}
_NAMED = "see that [tls] names a certificate and the key made with it"
_ANEW = "make a new one (`mailcfg certificate make`) or fetch one, and put it where [tls] of mail.cfg says"


class _Unfit(Exception):
    """A certificate and its key that are of no use; the message says why.  `remedy` is what to do about it."""

    def __init__(self, message, remedy):
        super().__init__(message)
        self.remedy = remedy


def problem(certificate, key):
    """Why TLS cannot be offered with these two, paths of PEM files, or mail programs would refuse it: words for a
    person; '' if nothing is wrong.  Dates and names are not looked at."""
    try:
        _tried(certificate, key)
    except _Unfit as unfit:
        return str(unfit)
    return ""


def certificate(site, world):
    """Whether there is one that can be used, today and in two weeks, and names this site."""
    if not site.certificate:
        yield note("no certificate is named in [tls], so only clients in cleartext_login_from can log in",
                   "make one: `mailcfg certificate make`")
        return
    try:
        context, seen = _tried(site.certificate, site.key)
    except _Unfit as unfit:
        yield wrong(str(unfit), unfit.remedy)
        return
    begins, ends = (ssl.cert_time_to_seconds(seen[key]) for key in ("notBefore", "notAfter"))
    now = world.clock()
    if now < begins:
        yield wrong(f"the certificate {site.certificate} is not valid before {seen['notBefore']}",
                    "see that this machine's clock is right (`date`); else wait, or make another one")
    elif now >= ends:
        yield wrong(f"the certificate {site.certificate} expired on {seen['notAfter']}", _ANEW)
    elif now >= ends - _SOON:
        yield note(f"the certificate {site.certificate} expires on {seen['notAfter']}", _ANEW)
    else:
        yield fine(f"the certificate {site.certificate} fits its key and is valid until {seen['notAfter']}")
    if not _names(context, site):
        yield note(f"the certificate {site.certificate} does not name {site.hostname}, so mail programs that were told "
                   "that name will warn", f"make one whose subjectAltName is DNS:{site.hostname}, or tell mail "
                   "programs the name that it has")


def _tried(certificate, key):
    """(the context of a server with these two, what a client sees of the certificate, whatever its dates).  Raises
    _Unfit."""
    try:
        if why := _unfit(certificate, key):
            raise _Unfit(f"TLS cannot be offered: {why}", _NAMED)
        context = server_context(certificate, key)
    except OSError as error:
        raise _Unfit(f"TLS cannot be offered: {error.filename} cannot be read: {error.strerror}", _NAMED) from error
    except StreamError as error:
        raise _Unfit(f"TLS cannot be offered: {error}", _NAMED) from error
    try:
        return context, _handshake(context, _client(certificate), None).getpeercert()
    except ssl.SSLError as error:
        raise _Unfit(f"mail programs would refuse the certificate {certificate}: "
                     f"{getattr(error, 'verify_message', '') or error}", _ANEW) from error


def _unfit(certificate, key):
    """What is wrong with the two files as such, in words; '' if nothing is.  Raises OSError, with the file's name."""
    for path in (certificate, key):
        if not stat.S_ISREG(os.stat(path).st_mode):         # a pipe would be waited for, and some devices never end
            return f"{path} is no regular file"
        with open(path, "rb"):
            pass                # OpenSSL does not tell which of the two it may not read
    try:
        _client(certificate)
    except ssl.SSLError:
        return f"{certificate} holds no certificate in PEM"
    try:
        # With a password, lest OpenSSL ask for one at the terminal; nobody is there to be asked by a server.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        return _WHY.get(error.reason, f"OpenSSL refuses {{certificate}} with {{key}}: {error.reason}").format(
            certificate=certificate, key=key)
    return ""


def _names(context, site):
    """Whether the certificate is one for the site's hostname."""
    client = _client(site.certificate)
    client.check_hostname = True
    try:
        _handshake(context, client, site.hostname)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code != _MISMATCH:
            raise
        return False
    return True


def _client(path):
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(path)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    return client


def _handshake(context, client, name):
    """The client's end after a handshake.  Raises ssl.SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), context.wrap_bio(up, down, server_side=True)]
    waiting = list(ends)
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    return ends[0]
