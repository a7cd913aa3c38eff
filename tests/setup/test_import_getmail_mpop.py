"""A getmailrc and an mpoprc become accounts, as getmail and mpop themselves understand them."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.setup.imports.accounts import getmailrc, mpoprc
from tests.real.packages import environment, tree
from tests.site.changes import is_sound

DIGEST = ":".join(["AB"] * 32)


def values(imported, name):
    return {keys[2]: text for keys, text in imported.changes.items() if keys[1] == name}


def told(imported, word):
    return [why for _, what, why in imported.left_out if word in what]


def getmail(retriever, rest="[destination]\ntype = Maildir\npath = /home/ann/Maildir/\n"):
    return f"[retriever]\n{retriever}\n{rest}"


POP3 = "type = SimplePOP3SSLRetriever\nserver = pop.example\nusername = j\npassword = s%1 ; # x"
IMAP = "type = SimpleIMAPSSLRetriever\nserver = imap.example\nusername = j\npassword = s"
GETMAIL = {
    "POP3 with TLS": (getmail(POP3), {"type": "pop3", "host": "pop.example", "user": "j", "password": "s%1 ; # x",
                                      "tls": "implicit", "after": "keep", "box": "ann"}),
    "POP3 without TLS": (getmail("type: BrokenUIDLPOP3Retriever\nserver: pop.example\nport: 8110\nusername: j\n"
                                 "password: s"),
                         {"type": "pop3", "host": "pop.example", "user": "j", "password": "s", "port": "8110",
                          "tls": "starttls", "after": "keep", "box": "ann"}),
    "deleted": (getmail(POP3 + "\n[options]\ndelete = Yes"),
                {"type": "pop3", "host": "pop.example", "user": "j", "password": "s%1 ; # x", "tls": "implicit",
                 "after": "delete", "box": "ann"}),
    "deleted later": (getmail(POP3 + "\n[options]\ndelete_after = 7"),
                      {"type": "pop3", "host": "pop.example", "user": "j", "password": "s%1 ; # x", "tls": "implicit",
                       "after": "keep 7 days", "box": "ann"}),
    "IMAP, moved": (getmail(f'{IMAP}\nmove_on_delete = Old mail\nssl_fingerprints = ("{DIGEST}",)\n'
                            'mailboxes = (\n  "News",)\n[options]\ndelete = 1'),
                    {"type": "imap", "host": "imap.example", "user": "j", "password": "s", "tls": "implicit",
                     "after": "delete", "box": "ann", "folder": "News", "deletion": "move",
                     "deletion_folder": "Old mail", "fingerprint": "sha256:" + "ab" * 32}),
    "a whole domain": (getmail("type = MultidropPOP3SSLRetriever\nserver = pop.example\nusername = j\npassword = s\n"
                               "envelope_recipient = x-original-to:1", "[destination]\ntype = MultiSorter\n"
                               "default = [postmaster]\n[postmaster]\ntype = Mboxrd\npath = /tmp/x\n"),
                       {"type": "pop3", "host": "pop.example", "user": "j", "password": "s", "tls": "implicit",
                        "after": "keep", "envelope": "X-Original-To"}),
}


@pytest.mark.parametrize("text, account", GETMAIL.values(), ids=GETMAIL)
def test_a_getmailrc(text, account):
    imported = getmailrc(text)
    assert values(imported, "j") == account
    assert imported.wanted == {}


@pytest.fixture(scope="session")
def dump(tmp_path_factory):
    """What the real getmail understands: the words `name="value"` of its retriever, and its options."""
    root, folder = tree("getmail6"), tmp_path_factory.mktemp("getmail")
    for name in "cur", "new", "tmp":
        (folder / "Maildir" / name).mkdir(parents=True)

    def run(text):
        (folder / "rc").write_text(text.replace("/home/ann/Maildir/", f"{folder}/Maildir/"))
        done = subprocess.run([sys.executable, root / "usr/bin/getmail", "-g", folder, "-r", "rc", "--dump"],
                              capture_output=True, text=True, check=True,
                              env={**environment(root), "PYTHONPATH": f"{root}/usr/lib/python3/dist-packages"})
        retriever = re.search(r"retriever:\s+(\w+)\((.*)\)$", done.stdout, re.MULTILINE)
        return {"type": retriever[1], **dict(re.findall(r'(\w+)="(.*?)"[,)]', retriever[2] + ")")),
                **dict(re.findall(r"^    (\w+) : (.*)$", done.stdout, re.MULTILINE))}
    return run


@pytest.mark.parametrize("name", ["POP3 with TLS", "POP3 without TLS", "deleted", "deleted later", "IMAP, moved"])
def test_getmail_reads_it_so(name, dump):
    text, account = GETMAIL[name]
    found = dump(text)
    days = found["delete_after"]
    assert account["host"] == found["server"] and account["user"] == found["username"]
    assert account["type"].upper() in found["type"] and ("SSL" in found["type"]) == (account["tls"] == "implicit")
    assert account.get("port", {"pop3": "995", "imap": "993"}[account["type"]]) == found["port"]
    kept = "keep" if days == "0" else f"keep {days} days"
    assert account["after"] == ("delete" if found["delete"] == "True" else kept)
    if account["type"] == "imap":
        assert account["folder"] in found["mailboxes"] and account["deletion_folder"] == found["move_on_delete"]


@pytest.mark.parametrize("text, what", [
    (getmail(POP3), "after = keep"), (getmail(POP3), "without ca_certs"),
    (getmail(POP3 + "\ntimeout = 5"), "timeout"), (getmail(POP3 + "\nfrob = 5"), "frob"),
    (getmail(POP3.replace("SSL", "")), "[retriever] type"), (getmail(POP3.replace("Simple", "BrokenUIDL")), "UIDL"),
    (getmail(POP3 + "\n[filter-1]\ntype = x"), "[filter-1]"),
    (getmail(POP3 + "\n[options]\nread_all = true"), "read_all"), (getmail(POP3 + "\nkeyfile = /x"), "keyfile"),
    (getmail(POP3 + "\n[options]\nmax_message_size = 10"), "max_message_size"),
    (getmail(IMAP + "\nmailboxes = ALL"), "mailboxes = ALL"), (getmail(IMAP + "\nimap_search = UNSEEN"), "imap_search"),
    (getmail(IMAP + "\nmove_on_delete = x"), "move_on_delete"),
    (getmail(IMAP + "\nmailboxes = ('a', 'b')"), "mailboxes"), (GETMAIL["a whole domain"][0], "[postmaster]"),
    (getmail(POP3 + f"\nssl_fingerprints = ('{DIGEST}', '{DIGEST}')"), "ssl_fingerprints"),
    (getmail(POP3 + "\nssl_fingerprints = ('00:11',)"), "fingerprint"),
    (getmail(POP3, "[destination]\ntype = MDA_external\npath = /bin/x"), "[destination]"),
])
def test_what_differs_from_getmail_is_told(text, what):
    assert told(getmailrc(text), what)


@pytest.mark.parametrize("text", [
    getmail(IMAP + "\nuse_xoauth2 = true"), getmail(IMAP + "\nuse_kerberos = on"),
    getmail("type = MultidropSDPSRetriever"),
    "", "[options]\ndelete = 1", "server = x", "[retriever]\npassword secret\n", getmail(POP3 + "\npassword = secret")])
def test_what_getmail_does_otherwise_brings_no_account(text):
    imported = getmailrc(text)
    assert imported.names() == [] and imported.left_out
    assert "secret" not in repr(imported.left_out)


def test_a_password_that_getmail_asks_a_command_for_is_wanted():
    imported = getmailrc(getmail(POP3.replace("password = s%1 ; # x", 'password_command = ("pass", "mail")')))
    assert list(imported.wanted) == [("accounts", "j", "password")]
    assert told(imported, "password_command")


def test_lines_are_those_of_the_file():
    imported = getmailrc(getmail(POP3 + "\n# a comment\ntimeout = 5"))
    assert (7, "[retriever] timeout", "amsmail has time limits of its own") in imported.left_out


MPOP = {
    "the manual's example": ("""
# Example
defaults
tls on
delivery mbox /var/mail/ann
account freemail
host pop.freemail.example
user joe.smith
password "a # b"
account freemail2 : freemail
user joey
tls_starttls off
account isp
host mail.isp.example
auth on
user 12345
password x
keep on
tls off
account default : freemail
""", {"freemail": {"type": "pop3", "host": "pop.freemail.example", "user": "joe.smith", "password": "a # b",
                   "tls": "starttls", "after": "delete", "box": "ann"},
      "freemail2": {"type": "pop3", "host": "pop.freemail.example", "user": "joey", "password": "a # b",
                    "tls": "implicit", "after": "delete", "box": "ann"},
      "isp": {"type": "pop3", "host": "mail.isp.example", "user": "12345", "password": "x", "tls": "starttls",
              "after": "keep", "box": "ann"}}),
    "switches without a word": ("account a\nhost h.example\nport 9955\nuser u\npassword p\ntls\ntls_starttls off\n"
                                f"keep\ntls_fingerprint {DIGEST}\ntls_trust_file /etc/ca.pem\n"
                                "delivery maildir /home/ann/M\n",
                                {"a": {"type": "pop3", "host": "h.example", "port": "9955", "user": "u",
                                       "password": "p", "tls": "implicit", "after": "keep", "box": "ann",
                                       "ca_file": "/etc/ca.pem", "fingerprint": "sha256:" + "ab" * 32}}),
    "defaults anew": ("defaults\nkeep on\ntls on\naccount a\nhost h\nuser u\npassword p\ndelivery mbox /var/mail/b\n"
                      "defaults\nkeep off\naccount b:a\nhost i\n",
                      {"a": {"type": "pop3", "host": "h", "user": "u", "password": "p", "tls": "starttls",
                             "after": "keep", "box": "b"},
                       "b": {"type": "pop3", "host": "i", "user": "u", "password": "p", "tls": "starttls",
                             "after": "delete", "box": "b"}}),
    "what is inherited of what is inherited": (
        "account a\nhost h\nuser u\npassword p\nkeep on\ndelivery mbox /var/mail/b\naccount b : a\nkeep off\n"
        "account c : a, b\nuser v\naccount d : b,a\nuser w\n",
        {name: {"type": "pop3", "host": "h", "user": user, "password": "p", "tls": "starttls", "after": after,
                "box": "b"} for name, user, after in [("a", "u", "keep"), ("b", "u", "delete"), ("c", "v", "delete"),
                                                      ("d", "w", "keep")]}),
}


@pytest.mark.parametrize("text, accounts", MPOP.values(), ids=MPOP)
def test_an_mpoprc(text, accounts):
    imported = mpoprc(text)
    assert {name: values(imported, name) for name in imported.names()} == accounts
    assert imported.wanted == {}


@pytest.fixture(scope="session")
def pretend(tmp_path_factory):
    """What the real mpop understands: {account: {name: value}}."""
    root, rc = tree("mpop"), tmp_path_factory.mktemp("mpop") / "rc"

    def run(text):
        rc.write_text(text)
        rc.chmod(0o600)
        done = subprocess.run([root / "usr/bin/mpop", "-C", rc, "--pretend", "--all-accounts"], capture_output=True,
                              text=True, check=True, env=environment(root))
        found = {}
        for row in done.stdout.splitlines():
            if match := re.match(r"using account (\S+) from", row):
                found[match[1]] = {}
            elif match := re.match(r"(\w+) += (.*)", row):
                found[list(found)[-1]][match[1]] = match[2]
        return found
    return run


@pytest.mark.parametrize("text, accounts", MPOP.values(), ids=MPOP)
def test_mpop_reads_it_so(text, accounts, pretend):
    found = pretend(text)
    assert accounts.keys() == found.keys() - {"default"}
    for name, account in accounts.items():
        theirs = found[name]
        assert (account["host"], account["user"]) == (theirs["host"], theirs["user"])
        assert account["after"] == ("keep" if theirs["keep"] == "on" else "delete")
        assert account.get("port", theirs["port"]) == theirs["port"]
        if theirs["tls"] == "on":
            assert account["tls"] == ("starttls" if theirs["tls_starttls"] == "on" else "implicit")
        if "fingerprint" in account:
            assert account["fingerprint"] == "sha256:" + theirs["tls_fingerprint"].replace(":", "").lower()


BASE = "account a\nhost h.example\nuser u\npassword p\ntls on\ndelivery mbox /var/mail/ann\n"


@pytest.mark.parametrize("line", [
    "filter spamc -c", "killsize 0", "skipsize 10k", "timeout 5", "uidls_file /x", "tls_certcheck off", "keep on",
    "only_new off", "auth cram-md5", "tls_fingerprint 00:11", "tls_key_file /x", "tls_host_override x", "tls off",
    "received_header off", "frob x", "eval echo password secret", "delivery mda procmail", "tls_trust_file ~/ca.pem"])
def test_what_differs_from_mpop_is_told(line):
    imported = mpoprc(BASE + line)
    assert told(imported, "ca_file" if "trust" in line else line.partition(" ")[0])
    assert imported.names() == ["a"] and "secret" not in repr(imported.left_out)


@pytest.mark.parametrize("line", ["proxy_host localhost", "socket /x", "auth gssapi", "auth xoauth2", "auth external"])
def test_what_mpop_does_otherwise_brings_no_account(line):
    imported = mpoprc(BASE + line)
    assert imported.names() == [] and told(imported, line)


def test_a_password_that_mpop_asks_a_command_for_is_wanted():
    imported = mpoprc(BASE.replace("password p", "passwordeval gpg -d x"))
    assert list(imported.wanted) == [("accounts", "a", "password")]
    assert told(imported, "passwordeval")


@given(st.text(st.sampled_from("abc = :\"'#[]()\n\t1,"), max_size=80))
def test_no_text_breaks_them(text):
    assert is_sound(mpoprc(text)) and is_sound(mpoprc(f"account a\n{text}"))
    assert is_sound(getmailrc(text)) and is_sound(getmailrc(f"[retriever]\ntype = SimpleIMAPSSLRetriever\n{text}"))
