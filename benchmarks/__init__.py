"""The figures of docs/performance.md; ``python -m benchmarks [name …]`` measures them."""
