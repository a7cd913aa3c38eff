"""The floors, against figures worked out by hand."""

import pytest

from scripts.bench import floors
from scripts.bench.link import PROFILES


@pytest.mark.parametrize("profile, out, into, both", [
    ("inmarsat64", 22.4, 36.4, 36.4),       # 168,000 octets at 64 kbit/s are 21 s, 280,000 are 35 s; 1.4 s round trip
    ("vsat", 5.85, 2.7875, 5.85),           # at 256 kbit/s 5.25 s, at 1024 kbit/s 2.1875 s; 0.6 s
])
def test_floor_a(profile, out, into, both):
    sizes = {"out": 168000, "in": 280000}
    for directions, seconds in ((["out"], out), (["in"], into), (["out", "in"], both)):
        chosen = {direction: sizes[direction] for direction in directions}
        assert floors.seconds(PROFILES[profile], chosen) == pytest.approx(seconds)


def test_floors_of_messages():
    profile = PROFILES["inmarsat64"]
    repeated = [b"x" * 8000] * 2
    floor_a, floor_b = floors.floors(profile, {"out": repeated})
    assert floor_a == pytest.approx(1.4 + 2)
    assert 1.4 < floor_b < 1.45


def test_one_stream_makes_use_of_what_messages_have_in_common():
    text = bytes(n * n % 251 for n in range(4000))
    assert floors.compressed([text] * 10) < 2 * floors.compressed([text])
