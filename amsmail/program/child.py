"""The worker as mailcheck sees it: a process that tells what happens, and can be ended."""

import json
import subprocess
import threading

from amsmail.program.apart import command

_LAST_WORDS = 5         # seconds for a worker that is to end


class Worker:
    """Starts the worker for `job`; see worker.main.  `ended_because` is what end() was told first, '' if it ended by
    itself."""

    def __init__(self, job):
        self.ended_because = ""
        # In a session of its own: Ctrl-C is for mailcheck, which ends it.
        self._process = subprocess.Popen(command("worker"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         start_new_session=True)
        try:
            # It stays open: when it closes, mailcheck is gone, and the worker must not go on without it.
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass        # it ended at once: its exit code says so

    def events(self):
        """What it tells, one dict after the other, until it has ended or closed its output."""
        for line in self._process.stdout:
            if not line.endswith(b"\n"):
                break           # it was killed in the middle of it
            yield json.loads(line)

    def wait(self):
        """Its exit code, once it has ended."""
        return self._process.wait()

    def end(self, why):
        """Has it end in order, so that its sessions write down how far they came, if it does that quickly."""
        if not self.ended_because:
            self.ended_because = why
            self._process.terminate()
            timer = threading.Timer(_LAST_WORDS, self._process.kill)
            timer.daemon = True
            timer.start()

    def kill(self):
        """Ends it at once."""
        self._process.kill()
        self._process.wait()
