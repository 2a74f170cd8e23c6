"""Learning: parameters, metrics, data sets, and the trainers that bind a model to a member's data.

Nothing here imports torch or scikit-learn but ``trainers.torch``, ``trainers.sklearn`` and the inside of functions.
"""
