"""The decoder as one compiled call for CPUs: no torch, only numpy and a shared library.

`binding` finds what was built from `source/` (by `build`, when gptcli is installed), `packing` lays
weights out for it, `run` runs them. Where there is no library, everything goes through torch.
"""
