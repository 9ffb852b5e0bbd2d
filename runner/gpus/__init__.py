"""What a GPU says of itself through its vendor's management library: who it is, how it does, who
else uses it. Nothing here imports torch or makes a CUDA or HIP context."""
