"""What passes the sea's end of the link, and the round trips that the client waited for.

A turn is a wait of the client for the provider, on one connection.  It begins when the last bit of a packet from the
client has left, with nothing of the client's behind it, and ends when the first bit of the first packet that can be the
answer comes in: one that comes at least 0.95 round trips later.  If the provider has been sending on that connection
for more than half of that time, it was no wait: a command during a download, for one.

- A packet counts if it has payload or SYN, and when it is sent first: a SYN is sent a second time after one second.
  Bare acknowledgements and FIN do not count.
- The device hands packets out at the line's rate, so a packet to the shore takes the line from the moment it is seen on
  for as long as its octets take at that rate; one from the shore has taken it for as long before it is seen.  So a long
  upload or download is no wait, whatever answers come in meanwhile, and TCP's own pauses within a stream are none.
- The wait for an answer that never comes, and the one after which a client just closes, is no turn.

Waits of several connections at the same time cost the time of one: `turns` is the largest number of them that follow
one another; `all_turns` counts those of all connections.
"""

import socket
import struct
from collections import defaultdict, namedtuple

SO_TIMESTAMPNS = 35
ETH_P_ALL = 3           # what is bound to one protocol gets no packets that go out
PCAP_NANOSECONDS, LINKTYPE_RAW = 0xA1B23C4D, 101
SYN = 2

# `time` in seconds; `up` says whether it goes from sea to shore; `port` is the sea's; `octets` are the IP packet's;
# `end` is the sequence number behind its payload.
Packet = namedtuple("Packet", "time up port octets payload flags end")
Figures = namedtuple("Figures", "turns all_turns connections")


def record(path, connection):
    """Writes every packet of link0 in this network namespace to the file `path` (pcap), until it is ended."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as tap, open(path, "wb", 0) as file:
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        tap.bind(("link0", ETH_P_ALL))
        file.write(struct.pack("<IHHiIII", PCAP_NANOSECONDS, 2, 4, 0, 0, 65535, LINKTYPE_RAW))
        connection.send("ready")
        while True:
            octets, ancillary, _, _ = tap.recvmsg(65535, socket.CMSG_SPACE(16))
            seconds, nanoseconds = struct.unpack("@qq", ancillary[0][2])
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(octets), len(octets)) + octets)


def read(path, sea):
    """The TCP packets of a capture; `sea` is that host's address."""
    sea = socket.inet_aton(sea)
    packets = []
    with open(path, "rb") as file:
        file.seek(24)
        while len(head := file.read(16)) == 16:
            seconds, nanoseconds, length, _ = struct.unpack("<IIII", head)
            octets = file.read(length)
            if len(octets) == length and octets[0] >> 4 == 4 and octets[9] == socket.IPPROTO_TCP:
                packets.append(_packet(seconds + nanoseconds / 1e9, octets, sea))
    return packets


def _packet(time, octets, sea):
    ip_header = (octets[0] & 15) * 4
    ports = struct.unpack_from("!HH", octets, ip_header)
    begin, = struct.unpack_from("!I", octets, ip_header + 4)
    total, = struct.unpack_from("!H", octets, 2)
    payload = total - ip_header - (octets[ip_header + 12] >> 4) * 4
    flags = octets[ip_header + 13]
    up = octets[12:16] == sea
    return Packet(time, up, ports[0 if up else 1], total, payload, flags, (begin + payload + bool(flags & SYN)) % 2**32)


def figures(packets, profile):
    """Counts the turns in a capture."""
    connections = defaultdict(list)
    for packet in packets:
        connections[packet.port].append(packet)
    waits = [wait for packets in connections.values() for wait in _waits(packets, profile)]
    return Figures(_one_after_another(waits), len(waits), len(connections))


def _waits(packets, profile):
    """(begin, end) of each turn on a connection."""
    waits = []
    free_at = None              # when the client's last packet has left; None once it has been answered
    received = 0.0              # seconds that the provider has been sending since then
    seen = set()
    for packet in packets:
        if (packet.up, packet.end) in seen or not packet.payload and not packet.flags & SYN:
            continue
        seen.add((packet.up, packet.end))
        rate = profile.rate_up if packet.up else profile.rate_down
        takes = 8 * (packet.octets + profile.framing) / rate
        if packet.up:
            free_at, received = packet.time + takes, 0.0
        elif free_at is not None:
            begins = packet.time - takes
            if begins - free_at < 0.95 * profile.round_trip:
                received += max(0.0, packet.time - max(begins, free_at))
                continue
            if received < (begins - free_at) / 2:
                waits.append((free_at, begins))
            free_at = None
    return waits


def _one_after_another(waits):
    """The largest number of intervals of which no two overlap."""
    count, free_from = 0, float("-inf")
    for begin, end in sorted(waits, key=lambda wait: wait[1]):
        if begin >= free_from:
            count += 1
            free_from = end
    return count

