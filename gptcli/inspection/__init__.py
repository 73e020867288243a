"""What can be asked about a model's predictions, and the answers: frozen, plain values.

One file for each question. A log-probability is a natural logarithm; entropies are in bits.
"""
