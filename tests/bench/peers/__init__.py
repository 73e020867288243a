"""gptcli beside its peers, in turns and on the same weights: ratios, not figures by themselves."""
