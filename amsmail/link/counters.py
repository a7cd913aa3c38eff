"""What an interface counted: all octets of IP packets that crossed it, headers and repetitions included."""


def octets(interface):
    """(received, sent) octets of the interface since it was made, or None where it is not there or nothing tells.

    From the list of our own network namespace; /sys/class/net has the same figures, of the namespace it was mounted in.
    A PPP interface begins at 0 with each call: who takes a difference must look at both ends.
    """
    try:
        with open("/proc/self/net/dev", encoding="ascii", errors="replace") as f:
            rows = dict(line.rsplit(":", 1) for line in f if ":" in line)
    except OSError:
        return None             # not Linux
    figures = next((figures.split() for name, figures in rows.items() if name.strip() == interface), None)
    return (int(figures[0]), int(figures[8])) if figures else None
