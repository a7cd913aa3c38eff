"""What the tests of the store share."""

import pytest

from tests.store.disk import in_memory


@pytest.fixture
def tmp_path(tmp_path):
    with in_memory(tmp_path) as folder:
        yield folder
