"""`gptcli chat` on a terminal."""
