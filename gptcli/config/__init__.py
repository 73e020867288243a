"""Settings: defaults < user file < environment (`GPTCLI_*`) < flags, and where their files are.

What can be set is not said here: a group of options says it of each of its fields (`option`), and
flag, variable, key of the user file, limit, help, manual and completion all follow from that.
"""

from gptcli.config.check import check, number_of
from gptcli.config.endpoints import Endpoint, checked_url
from gptcli.config.limit import MOST, Limit
from gptcli.config.load import Stored, endpoints, load, said, templates
from gptcli.config.option import Option, key_of, option, option_of, options_of, variable_of
from gptcli.config.places import (
    data_dir,
    kept_tokenizer,
    packed_dir,
    packed_weights,
    prompts_dir,
    user_file,
)
from gptcli.config.templates import Template, found_in

__all__ = [
    "MOST",
    "Endpoint",
    "Limit",
    "Option",
    "Stored",
    "Template",
    "check",
    "checked_url",
    "data_dir",
    "endpoints",
    "found_in",
    "kept_tokenizer",
    "key_of",
    "load",
    "number_of",
    "option",
    "option_of",
    "options_of",
    "packed_dir",
    "packed_weights",
    "prompts_dir",
    "said",
    "templates",
    "user_file",
    "variable_of",
]
