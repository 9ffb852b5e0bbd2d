"""The trial's side of the host platform, and what its device process loads."""
