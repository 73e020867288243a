"""The names of the room, each from the file that has it."""

from __future__ import annotations

import pytest

from gptcli import models


@pytest.mark.parametrize("name", models.__all__)
def test_every_name_is_in_its_file(name):
    """Catches a name that is promised and led to a file without it: whoever asks would meet it."""
    found = models.__getattr__(name)
    assert found.__module__ == f"gptcli.models.{models._FILES[name]}"
    assert models._FILES.keys() == set(models.__all__)


def test_other_names_are_not_there():
    """Catches an attribute that is made up."""
    with pytest.raises(AttributeError, match="no attribute 'obtained'"):
        _ = models.obtained
