"""The certificate: a handshake of our own server's context with a client that believes it alone, all in memory, says
what a mail program would see.  OpenSSL checks dates, key and name as it does for everybody."""

import ssl

from amsmail.setup.doctor.world import fine, note, wrong
from amsmail.transport.carrier import StreamError
from amsmail.transport.tls import server_context

_SOON = 14 * 86400          # seconds before its end that a certificate is told of
_NO_CHECK_TIME = 0x200000   # X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name
_MISMATCH = 62              # X509_V_ERR_HOSTNAME_MISMATCH

_ANEW = "make a new one (`mailcfg certificate make`) or fetch one, and put it where [tls] of mail.cfg says"


def certificate(site, world):
    """Whether there is one that can be used, today and in two weeks, and names this site."""
    if not site.certificate:
        yield note("no certificate is named in [tls], so only clients in cleartext_login_from can log in",
                   "make one: `mailcfg certificate make`")
        return
    try:
        context = server_context(site.certificate, site.key)
        seen = _seen(context, site.certificate)
    except StreamError as error:
        yield wrong(f"TLS cannot be offered: {error}", "see that [tls] names a certificate and the key made with it")
        return
    except (ssl.SSLError, OSError) as error:
        yield wrong(f"mail programs would refuse the certificate {site.certificate}: "
                    f"{getattr(error, 'verify_message', '') or error}", _ANEW)
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


def _seen(context, path):
    """What a client sees of the certificate, whatever its dates.  Raises ssl.SSLError."""
    return _handshake(context, _client(path), None).getpeercert()


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
