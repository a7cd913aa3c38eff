"""How the benchmark shows its rows."""

import json

HEADINGS = (f"{'peer':<18} {'link s':>7} {'/a':>5} {'/b':>5} {'kB up':>7} {'kB down':>7} {'packets':>7} {'waits':>6} "
            f"{'turns':>5} {'conns':>5} {'lost':>5}  delivered")


def heading(work):
    counts = ", ".join(f"{len(texts)} {direction} {sum(map(len, texts)) / 1000:.1f} kB"
                       for direction, texts in work.texts.items())
    return (f"{work.profile.name}, {work.name}: {counts}; floor a {work.floor_a:.2f} s, floor b {work.floor_b:.2f} s\n"
            f"{HEADINGS}")


def line(row):
    return (f"{row.peer:<18} {row.air_s:7.2f} {row.air_s / row.floor_a:5.2f} {row.air_s / row.floor_b:5.2f} "
            f"{row.bytes_up / 1000:7.1f} {row.bytes_down / 1000:7.1f} {row.packets:7.0f} {row.waits:6.1f} "
            f"{row.turns:5.0f} {row.connections:5.0f} {row.lost_up + row.lost_down:5.0f}  {outcome(row)}")


def outcome(row):
    """What became of the messages."""
    text = f"{row.delivered}/{row.expected}"
    if row.duplicates:
        text += f", {row.duplicates} MORE THAN ONCE"
    if row.left:
        text += f", {row.left} left there"
    if row.note:
        text += ", FAILED"
    elif row.delivered < row.expected:
        text += ", LOST SOME"
    return text


def as_json(row):
    return json.dumps({**row._asdict(), "ratio_a": round(row.air_s / row.floor_a, 3),
                       "ratio_b": round(row.air_s / row.floor_b, 3)})
