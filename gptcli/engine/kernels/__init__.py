"""The decoder as one compiled call for CPUs: no torch, only numpy and a shared library.

`library` finds what was built from `source/` (by `build`, when gptcli is installed), `pack` lays
weights out for it, `model` runs them. Where there is no library, everything goes through torch.
"""
