"""What only a machine with an NVIDIA card can tell: `pytest -m gpu`, and `python -m tests.gpu`."""
