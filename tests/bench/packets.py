"""Captures made by hand."""

import socket
import struct
from collections import Counter

from scripts.bench import capture
from scripts.bench.capture import SYN, Packet
from scripts.bench.link import SEA, SHORE, Profile

# 1000 octets a second each way, half a second each way, and nothing around the packets.
SLOW = Profile("slow", 8000, 8000, 0.5, 0, 0, 1500, 10000)
HEADERS = 40


class Dialogue:
    """Packets on connections, by when they are seen at sea."""

    def __init__(self):
        self.packets = []
        self._ends = Counter()

    def up(self, time, payload, port=40000, flags=0):
        self._add(time, True, port, payload, flags)

    def down(self, time, payload, port=40000, flags=0):
        self._add(time, False, port, payload, flags)

    def _add(self, time, up, port, payload, flags):
        self._ends[up, port] += payload + bool(flags & SYN)
        self.packets.append(Packet(time, up, port, payload + HEADERS, payload, flags, self._ends[up, port]))

    def again(self, time):
        """The last packet once more."""
        self.packets.append(self.packets[-1]._replace(time=time))

    def exchange(self, time, port=40000):
        """A command of 60 octets and its reply of 60 as fast as the line allows; gives the time when it is there."""
        self.up(time, 60, port)
        time += 0.1 + SLOW.round_trip + 0.1
        self.down(time, 60, port)
        return time

    def figures(self):
        return capture.figures(sorted(self.packets), SLOW)


def pcap(packets):
    """The octets of a capture file with these packets."""
    octets = struct.pack("<IHHiIII", capture.PCAP_NANOSECONDS, 2, 4, 0, 0, 65535, capture.LINKTYPE_RAW)
    for packet in packets:
        seconds, part = divmod(packet.time, 1)
        octets += struct.pack("<IIII", int(seconds), round(part * 1e9), packet.octets, packet.octets) + _ip(packet)
    return octets


def _ip(packet):
    ends = [(SEA, packet.port), (SHORE, 465)]
    (source, source_port), (target, target_port) = ends if packet.up else reversed(ends)
    begin = packet.end - packet.payload - bool(packet.flags & SYN)
    return (struct.pack("!BBHHHBBH4s4s", 0x45, 0, packet.octets, 0, 0, 64, socket.IPPROTO_TCP, 0,
                        socket.inet_aton(source), socket.inet_aton(target))
            + struct.pack("!HHIIBBHHH", source_port, target_port, begin, 0, 0x50, packet.flags, 0, 0, 0)
            + bytes(packet.payload))
