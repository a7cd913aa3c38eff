"""Users of other programs become boxes, with their passwords where these can be verified."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib import hash as hashes

from amsmail.setup.imports.boxes import dovecot, htpasswd, passwd, table
from amsmail.site import config, passwords
from tests.site.changes import edit, is_sound

SHA512 = hashes.sha512_crypt.using(rounds=1000).hash("secret")
SHA256 = hashes.sha256_crypt.using(rounds=1000).hash("secret")
APR1, DES, MD5 = (scheme.hash("secret") for scheme in (hashes.apr_md5_crypt, hashes.des_crypt, hashes.md5_crypt))
YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
SSHA = "{SSHA}S2hKbWN4c3ZhYmNkZWZnaGlqa2xtbm9wcXJzdA=="


def found(imported, key="password"):
    return {keys[1]: text for keys, text in imported.changes.items() if keys[2] == key}


def told(imported, word):
    return [why for _, what, why in imported.left_out if word in what]


def test_people_of_passwd_and_shadow():
    imported = passwd(
        "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n"
        "ann:x:1000:1000:Ann,,,:/home/ann:/bin/bash\nbob:x:1001:1001::/home/bob:/usr/bin/zsh\n"
        "guest:x:1002:1002::/home/guest:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/sh\n"
        f"old:{SHA256}:1003:1003::/home/old:/bin/sh\nnew:x:1004:1004::/home/new:/bin/sh\n"
        "eve:x:1005:1005::/home/eve:/bin/sh\nkim:x:1006:1006::/home/kim:/bin/sh\nodd line\n",
        f"ann:{SHA512}:19000:0:99999:7:::\nbob:!{SHA512}:19000:0:99999:7:::\neve:{YESCRYPT}:19000:0:99999:7::20000:\n"
        "kim:*:19000::::\n")
    assert found(imported) == {"ann": SHA512, "bob": "", "old": SHA256, "new": "", "eve": "", "kim": ""}
    assert imported.left_out[0][:2] == (0, "root, daemon, guest, nobody")
    assert told(imported, "bob") == told(imported, "kim") != []
    assert "$y$" in told(imported, "eve")[0] and "expires" in told(imported, "eve")[1]
    assert told(imported, "new") and told(imported, "the line")


def test_a_passwd_file_of_dovecot():
    imported = dovecot(
        f"# users\nann@yacht.example:{{SHA512-CRYPT}}{SHA512}:1000:1000::/home/ann::\nbob:{SHA256}\n"
        "cook:{plain}pass:word::\n".replace("pass:word", "password")
        + f"dan:{{CRYPT}}{SHA512}:::::: userdb_mail=mbox:~/mail nologin\neve:{SSHA}:1:1\nfay:{{PLAIN.b64}}cGFzcw==\n"
        f"gil:{{MD5-CRYPT}}{MD5}\nhal:\n")
    assert found(imported).keys() == {"ann", "bob", "cook", "dan", "eve", "fay", "gil", "hal"}
    assert {box for box, text in found(imported).items() if text} == {"ann", "bob", "cook", "dan"}
    assert found(imported, "addresses") == {"ann": "ann@yacht.example"}
    assert passwords.verify("password", found(imported)["cook"])
    assert passwords.verify("secret", found(imported)["ann"])
    assert told(imported, "dan: userdb_mail nologin")
    assert all(told(imported, box) for box in ("eve", "fay", "gil", "hal"))


def test_an_htpasswd():
    imported = htpasswd(f"ann:{SHA512}\nbob:{APR1}\ncook:{DES}\ndan:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\neve\n"
                        f"fay:{SHA256}\n# end\n")
    assert found(imported) == {"ann": SHA512, "bob": "", "cook": "", "dan": "", "fay": SHA256}
    assert "$apr1$" in told(imported, "bob")[0] and "{SHA}" in told(imported, "dan")[0]
    assert told(imported, "the line")


def test_bcrypt_is_taken_over_where_it_can_be_verified(monkeypatch):
    text = "ann:$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe\n"
    for can in True, False:
        monkeypatch.setattr(passwords, "can_verify", lambda _text, can=can: can)
        assert bool(found(htpasswd(text))["ann"]) == can
        assert bool(told(htpasswd(text), "ann")) != can


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_table(separator):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerows([["Box", "password", "hash", "addresses", "cabin"],
                      ["captain", "a,b;c", "", "captain@yacht.example info", "1"], ["cook", "", SHA512, "", "2"],
                      ["mate", "x", SHA256, "", ""], ["boy", "", "", "no@@address", "", "5"], [], ["deck", "x\ny"]])
    imported = table("\ufeff" + text.getvalue())
    assert passwords.verify("a,b;c", found(imported)["captain"])
    assert found(imported, "addresses") == {"captain": "captain@yacht.example, info"}
    assert {box: text for box, text in found(imported).items() if box != "captain"} == {
        "cook": SHA512, "mate": SHA256, "boy": "", "deck": ""}
    assert all(told(imported, what) for what in ("cabin", "mate", "boy: no@@address", "boy", "deck"))


@pytest.mark.parametrize("text", ["", "captain,secret\n", "password\nsecret\n"])
def test_a_table_without_names_of_columns_brings_nothing(text):
    imported = table(text)
    assert imported.changes == {} and imported.left_out[0][:2] == (1, "the first line")
    assert "secret" not in repr(imported.left_out)


@pytest.mark.parametrize("row", ["secret", "secret,", "secret,  "])
def test_a_row_that_names_no_box_is_told_and_the_others_count(row):
    imported = table(f"password,box\n{row}\nof-ben,ben\n")
    assert list(found(imported)) == ["ben"]
    assert imported.left_out == [(2, "the line", "it names no box")]


def test_a_broken_table_is_read_up_to_the_break():
    imported = table('box,password\nann,secret\nbob,"sec"ret\n')
    assert list(found(imported)) == ["ann"] and "secret" not in repr(imported.left_out)
    assert imported.left_out[0][0] == 3


def test_names_that_a_box_cannot_have():
    imported = htpasswd("".join(f"{user}:{SHA512}\n" for user in ["Ann", "bob", "Bob", "j o", "nul", "cook"]), {"cook"})
    assert list(found(imported)) == ["ann"]
    assert "lower-case" in told(imported, "Ann")[0]
    assert "Bob" in told(imported, "bob")[0] and "bob" in told(imported, "Bob")[0]
    assert told(imported, "j o") and told(imported, "nul") and "already" in told(imported, "cook")[0]


@settings(deadline=None)
@given(st.text(st.sampled_from("ab:$6{}!*x1,;\"'\n@# é"), max_size=60))
def test_no_text_breaks_them(text):
    for read in passwd, dovecot, htpasswd, table:
        assert is_sound(read(text))
    assert is_sound(passwd("ann:x:1000:1000::/:/bin/sh", f"ann:{text}"))
    assert is_sound(table("box,hash,addresses\n" + text))


def test_mail_cfg_takes_what_was_imported(tmp_path):
    """The boxes and accounts of all formats, put into one mail.cfg."""
    from amsmail.setup.imports.accounts import fetchmailrc, getmailrc, mpoprc
    path = tmp_path / "mail.cfg"
    path.write_text(f"schema = 1\n[site]\nhostname = mail.yacht.example\nspool = {tmp_path}/spool\n"
                    "postmaster = captain\n[domains]\n[[yacht.example]]\n[boxes]\n[[captain]]\n")
    path.chmod(0o600)
    edit(path, passwd(f"ann:{SHA512}:1000:1000::/:/bin/sh").changes)
    edit(path, dovecot("bob@yacht.example:{PLAIN}'x\"#").changes)
    edit(path, table("box,password,addresses\ncook,x,galley cook@yacht.example").changes)
    imported = fetchmailrc("poll h.example proto imap user ' j #\"' pass 'a # \"b' is ann here keep folder A, 'B b'")
    edit(path, imported.changes)
    taken = imported.names()
    imported = getmailrc("[retriever]\ntype = MultidropIMAPSSLRetriever\nserver = h.example\nusername = j\n"
                         "password = %\nenvelope_recipient = Delivered-To:1\nmove_on_delete = Old\n"
                         "[options]\ndelete_after = 3", taken)
    edit(path, imported.changes)
    taken += imported.names()
    edit(path, mpoprc("account J\nhost 127.0.0.1\nport 110\nuser j\npassword \"\"q\"\"\n"
                      "delivery maildir /home/bob/Mail", taken).changes)
    site = config.load(str(path))
    assert {name: (account["type"], account["user"], account["password"], account["folder"])
            for name, account in site.accounts.items()} == {
        "j": ("imap", ' j #"', 'a # "b', "A"), "j-2": ("imap", ' j #"', 'a # "b', "B b"),
        "j-3": ("imap", "j", "%", "INBOX"), "j-4": ("pop3", "j", '"q"', "INBOX")}
    assert site.accounts["j-3"]["after"] == 3 * 86400
    assert site.addresses["galley@yacht.example"] == "cook"
