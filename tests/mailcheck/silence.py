"""Servers that fall silent: the connection stays, TCP acknowledges, and nothing is said any more."""

import itertools
import threading


def fall_silent(peer, start, number=1):
    """From the `number`th reply to a command that begins with `start` on, a Peer only reads, until its attribute
    `reply` is deleted.  Gives an Event that is set when it falls silent."""
    usual, seen, is_silent = peer.reply, itertools.count(1), threading.Event()

    def reply(command, *text):
        if is_silent.is_set() or command.startswith(start) and next(seen) == number:
            is_silent.set()
            read_only(peer)
        return usual(command, *text)
    peer.reply = reply
    return is_silent


def read_only(peer):
    """What a Peer that fell silent does until its client is gone."""
    while True:
        peer.receive()


def drop_what_is_behind(peer, *starts):
    """A Peer forgets what a client said behind the commands that begin so before it was answered, until its attribute
    `reply` is deleted.  Gives a list that gets what was forgotten."""
    usual, dropped = peer.reply, []

    def reply(command, *text):
        if command.startswith(starts):
            dropped.append(peer._input)
            peer._input = b""
        return usual(command, *text)
    peer.reply = reply
    return dropped
