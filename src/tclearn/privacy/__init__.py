"""Attacks on the privacy of members' records, to test a charter with: what increments give away.

``inversion`` rebuilds training images from an increment, ``membership`` says which records were trained on. Nothing
here is used in training. The modules that need PyTorch are imported by name, so that it is not loaded unasked.
"""
