"""What a person sees of a mailcheck: what was asked for, and at a terminal what happens."""

import sys

from amsmail.wire.text import printable


def tell(*lines):
    """Prints lines for a person, also what the terminal has no characters for."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        print(printable(line).encode(encoding, "backslashreplace").decode(encoding))


class Screen:
    """What happens; nothing of it without a terminal.  `shows` says whether anything is to be seen."""

    def __init__(self, shows):
        self.shows = shows
        self._bars = {}

    def say(self, text):
        if self.shows:
            self.stop_bars()
            try:
                print(text, file=sys.stderr, flush=True)
            except OSError:
                self.shows = False      # nobody reads on (`| head`): a call goes on to its end all the same

    def progress(self, what, octets):
        """Moves the bar of one session; several go on at the same time."""
        if not self.shows:
            return
        if what not in self._bars:
            from tqdm import tqdm       # on demand: cron sees no bar
            self._bars[what] = tqdm(desc=what, unit="B", unit_scale=True, leave=False, disable=None,
                                    position=len(self._bars))
        self._bars[what].update(octets)

    def stop_bars(self):
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()
