"""Distributions of queries. Apart from `dataset.py`, which needs numpy; tables do not."""

# Held-out real ones, and those that `derive.other_queries` makes from them.
REAL = "real"
OTHERS = ("noisy", "mixed")
ASKED = (REAL, *OTHERS)
