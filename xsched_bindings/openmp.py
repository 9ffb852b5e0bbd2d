"""What OpenMP's variables of the user would do to processes whose cores are chosen for them."""

from collections.abc import Mapping

#: With these OpenMP pins the thread that imports it, after that thread was given its cores.
PINNING = {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"}


def unpinned(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name not in PINNING}
