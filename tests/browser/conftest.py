"""A browser for the tests of each module."""

import pytest
from browser import opened


@pytest.fixture(scope="module")
def browser():
    with opened() as browser:
        yield browser
