"""One module for each system that is measured. `roster.py` says which package each needs."""
