"""The families of models that the engine of this machine runs."""

from __future__ import annotations

from gptcli.engine.model import families

__all__ = ["SCALINGS", "listing", "names"]

SCALINGS = families.SCALINGS
listing = families.listing
names = families.supported
