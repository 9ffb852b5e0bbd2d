"""Which preemption levels a device really has.

XSched does not tell: ``XQueueCreate`` checks no more than the range, and a queue of a level that
the device lacks behaves as level 1. So the table is kept here.
"""

from xsched_bindings.types import PreemptLevel

BLOCK, DEACTIVATE, INTERRUPT = PreemptLevel

#: By compute capability; source: ``platforms/cuda/hal/src/arch/arch.cpp``, XSched 1.2.0.
CUDA_LEVELS = {
    (3, 5): (BLOCK, DEACTIVATE),
    (7, 0): (BLOCK, DEACTIVATE, INTERRUPT),
    (8, 6): (BLOCK, DEACTIVATE, INTERRUPT),
}
#: ``CudaQueueLv3Tsg`` takes away the context's time slice; it adds nothing to deactivate with.
TSG_LEVELS = (BLOCK, INTERRUPT)
HIP_LEVELS = (BLOCK,)


def cuda_levels(compute_capability: tuple[int, int], tsg: bool) -> tuple[PreemptLevel, ...]:
    """Levels of an NVIDIA GPU. tsg: whether level 3 is XSched's TSG implementation, which suspends
    the whole process's context."""
    return TSG_LEVELS if tsg else CUDA_LEVELS.get(compute_capability, (BLOCK,))
