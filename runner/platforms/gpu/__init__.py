"""NVIDIA and AMD GPUs: the platform that `cuda` and `hip` share (`gpu` and `xserver` in the parent,
`session` and `torch_device` in a trial), and what a GPU says of itself through its vendor's
management library (`management`, `telemetry`). Only `torch_device`, `marks` and `requests` import
torch."""
