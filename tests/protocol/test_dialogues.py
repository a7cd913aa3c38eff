"""Every dialogue of tests/dialogues, run four ways; the server's answers are the same in all."""

from pathlib import Path

import pytest

from .dialogue import Player, read
from .ways import WAYS

_FOLDER = Path(__file__).parents[1] / "dialogues"
_DIALOGUES = sorted(str(path.relative_to(_FOLDER)) for path in _FOLDER.glob("*/*.txt"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", _DIALOGUES)
def test_dialogue(name, way, tmp_path, certificate):
    Player(name, read(_FOLDER / name), tmp_path, WAYS[way], certificate).play()
