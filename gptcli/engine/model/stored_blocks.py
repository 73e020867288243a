"""What config.json says of GGUF's blocks; asked where neither torch nor numpy is there yet."""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.formats import ggml_blocks


def keeps_ggml_blocks(config: ConfigFields) -> bool:
    """Whether config.json says that matrices may be in blocks.

    Raises ModelError where it says more of that than is known.
    """
    found = config.sub("quantization_config")
    if found is None or found.get("quant_method") != ggml_blocks.METHOD:
        return False
    found.refuse_others("quant_method")
    return True
