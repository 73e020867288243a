"""`python -m gptcli.cli.manual [DIR]`."""

import sys

from gptcli.cli.manual.pages import main

main(sys.argv[1:])
