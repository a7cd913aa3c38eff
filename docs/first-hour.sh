#!/bin/sh -e
# What docs/FIRST-HOUR does by dialogue, without a question: as root, in the unpacked archive.
# Two files that only root can read have a password each: captain.password, and your provider's.
scripts/install --yes
mailcfg new --hostname mail.yacht.example --domain yacht.example --box captain \
    --password-stdin < captain.password
mailcfg network add 192.168.7.0/24
mailcfg certificate make
mailtransportcfg relay set --address yacht@shore.example --password-stdin < provider.password
mailtransportcfg account add yacht --address yacht@shore.example --box captain \
    --password-stdin < provider.password
mailcheckcfg link add marina --type present --probe "interface eth0"
mailtransportcfg account test
mailcfg check
mailcheck
