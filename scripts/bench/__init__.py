"""The benchmark of the link: what amsmail and other mail programs cost on a slow line.

One run: a fresh box at the provider, a fresh home for the client, the link's figures set to zero, the client from its
start to its end, and the wait until the link is quiet.  What is the same for every client:

The line    linkem's, with the two kernels' own TCP; one profile after the other.
Provider    Postfix takes submissions on port `submissions` (implicit TLS, AUTH PLAIN and LOGIN; it offers PIPELINING,
            CHUNKING, SIZE, 8BITMIME, DSN, SMTPUTF8).  Dovecot serves pop3s (PIPELINING, SASL) and imaps (IMAP4rev1 with
            SASL-IR, LITERAL+, UIDPLUS, COMPRESS=DEFLATE).  Both check the password at once.
TLS         1.3, implicit, a whole handshake for every connection: no client starts with a session from before.  The
            servers send one certificate, ECDSA P-256, about 600 octets, and their usual session tickets.
Trust       each client verifies the certificate by the authority that signed it.  fetchmail and Postfix do not know
            addresses in certificates and are told the name in it; mbsync is given the certificate itself.
DNS         none on the way: every client is configured with the provider's address, and there is no name server that
            could be asked from there.  The provider looks nobody up either.
Memory      amsmail remembers what a provider offers, so a call with one short message each way comes before the one
            that is measured (--cold leaves it out).  The other clients here remember nothing that saves round trips.
"""
