"""What can be seen inside a model while it runs, and in its weights: a file for each subject.

A probe (engine/probe.py) is passed into the forward pass that completes text; it keeps what it
wants and computes the rest beside the pass, which stays as it was, bit for bit. All of it works on
arrays of numpy or torch, as the runner computes.
"""
