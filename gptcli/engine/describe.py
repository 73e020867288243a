"""A model directory → what a model is: read once, and handed down from there as a value."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from gptcli.engine.model import rope_fields
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import Family, read_spec
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.model.ties import Ends, settle
from gptcli.formats import model_files
from gptcli.formats.model_files import ModelFiles
from gptcli.formats.stored import StoredFiles
from gptcli.plain import dataclass
from gptcli.types.events import Notice


@dataclass(frozen=True)
class Described:
    """A model before any of its weights is read: its files, and what config.json makes of it.

    said: the spec as config.json has it, which the stored tensors may correct: see `spec`.
    """

    files: ModelFiles
    config: ConfigFields
    family: Family
    said: ModelSpec

    @property
    def directory(self) -> Path:
        """The model's directory."""
        return self.files.directory

    @property
    def spec(self) -> ModelSpec:
        """What the model is. Raises as `ModelFiles.stored` and `ties.settle`."""
        return self._ends.spec

    @property
    def stored(self) -> StoredFiles:
        """See ModelFiles; a tied head is stored as the embedding, whichever name it has on disk."""
        return self._ends.stored

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a user should know of how the files were read."""
        config = self.config.renamed(self.family.other_names)
        found = [Notice(config.subject, text) for text in rope_fields.doubled(config)]
        return (*found, *self._ends.notices)

    @cached_property
    def _ends(self) -> Ends:
        return settle(self.said, self.family.rules, self.files.stored)


def describe(directory: Path) -> Described:
    """The model of a directory. Raises ModelError as `model_files.read` and `described` do."""
    return described(model_files.read(directory))


def described(files: ModelFiles) -> Described:
    """The model that these files are. Raises ModelError for one of no family that is known."""
    config = ConfigFields(str(files.directory / model_files.CONFIG), files.config)
    return Described(files, config, *read_spec(config))
