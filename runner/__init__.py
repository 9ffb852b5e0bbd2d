"""The experiment runner for preemptive accelerator scheduling."""
