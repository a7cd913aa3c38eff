"""What the fake diallers share: one line, whose state is the files in the folder FAKE_DIAL_STATE.

    play        a failure a line; each attempt to bring the line up plays the next one, `ok` and the end none
    password    the only password that is taken; without this file any is
    entry       the only entry, peer, connection or modem there is; without this file any is
    interface   the interface of a line that is up; without this file, lo
    calls       written by the fakes: how each was called, a line of JSON: [program, argument, ...]
    up          written by the fakes: what is up, as JSON: {program: {entry: state}}

FAKE_DIAL_UP and FAKE_DIAL_DOWN may hold command lines that are run when a line comes up or goes down, so that a fake
line can be an emulated one.  Failures that all know: busy, no-carrier, no-dialtone, wrong-password, hang, fail.
"""

import json
import os
import sys
import time

PROGRAM = os.path.basename(sys.argv[0])


def _path(name):
    return os.path.join(os.environ["FAKE_DIAL_STATE"], name)


def read(name, default=""):
    try:
        with open(_path(name), encoding="utf-8") as f:
            return f.read().strip()
    except FileNotFoundError:
        return default


def _write(name, text):
    with open(_path(name), "w", encoding="utf-8") as f:
        f.write(text)


def note_call():
    with open(_path("calls"), "a", encoding="utf-8") as f:
        print(json.dumps([PROGRAM, *sys.argv[1:]]), file=f)


def next_failure():
    """What this attempt is to play, '' for none."""
    first, _, rest = read("play").partition("\n")
    _write("play", rest)
    return "" if first == "ok" else first


def is_known(entry):
    return read("entry", entry) == entry


def takes(password):
    return read("password", password) == password


def interface():
    return read("interface", "lo")


def all_up(program):
    """{entry: state} of what this program has brought up."""
    return json.loads(read("up", "{}")).get(program, {})


def set_up(program, entry, state="up"):
    """Makes the line exist, or ends it where `state` is None."""
    everything = json.loads(read("up", "{}"))
    entries = everything.setdefault(program, {})
    entries.pop(entry, None)
    if state:
        entries[entry] = state
    _write("up", json.dumps(everything))
    hook = os.environ.get({"up": "FAKE_DIAL_UP", None: "FAKE_DIAL_DOWN"}.get(state, ""))
    if hook:
        import shlex
        import subprocess
        subprocess.run(shlex.split(hook), check=True, stdout=subprocess.DEVNULL)


def hang():
    time.sleep(60)


def end(code, said="", stream=sys.stdout):
    """Ends the program; what it says is kept back by no buffer."""
    if said:
        print(said, file=stream, flush=True)
    sys.exit(code)
