"""What crosses rooms: questions, answers, events. One file a subject, frozen plain values.

A log-probability is natural, and of the raw distribution; bits are binary. No tensors, no open
files.
"""
