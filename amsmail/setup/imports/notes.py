"""What is said of the options of more than one program that fetches mail."""

# The header fields that an account's envelope may name, by their names in small letters.
FIELDS = {name.lower(): name for name in ("Delivered-To", "X-Original-To", "Envelope-To", "Received")}

STARTTLS = ("the password would have gone in clear where the provider offers no STARTTLS; here tls = starttls insists "
            "on it: if there is none, ask for its port with TLS (tls = implicit) before you say tls = none")
AGAIN = ("what was fetched before and is still at the provider is fetched again by the first call; to leave it there, "
         "fetch once more with the old program and then say backlog = none before the first call")
UNCHECKED = ("the certificate is always checked here; if the provider's is not valid for its name, say its SHA-256 "
             "digest as fingerprint")
OTHER_NAME = ("the certificate must be valid for the host's name; if it is not, say its SHA-256 digest as fingerprint")
CLIENT_CERTIFICATE = "there is no login by certificate here, only by user and password"
TLS_VERSION = "the versions and ciphers of TLS are those of the TLS library"
PASSWORD_SENT = "the password itself is sent, inside TLS"
SEVERAL = ("mail of several users in one account goes to boxes by their addresses; see [boxes] in mail.cfg(5)")
