"""XSched's API in Python. Usable on its own; imports nothing of the runner and no torch."""
