"""``python -m runner.doctor``: what this machine can run, what disturbs it, what to do about it.

Nothing here imports torch or MLflow; the probe of the shim does, in processes of its own.
"""
