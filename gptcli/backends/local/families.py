"""The families of models that the engine of this machine runs."""

from __future__ import annotations

from gptcli.engine.model import families
from gptcli.engine.model.not_supported import reasons

__all__ = ["SCALINGS", "listing", "names", "not_supported"]

SCALINGS = families.SCALINGS
listing = families.listing
names = families.supported
not_supported = reasons
