"""The kernel of a mark, compiled for the CPU, where threads of Python play those of its block."""

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL, c_int, c_int64, c_void_p
from math import isnan

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import Tensor

from models import DTYPES
from models.fingerprint import fingerprint, weights
from runner.platforms.gpu.marks import SOURCE, TYPES
from runner.platforms.gpu.ring import HostRing

THREADS = 8
ROWS = 4

PRELUDE = """
#include <pthread.h>
#define __device__
#define __global__
#define __shared__
#define __threadfence_system __sync_synchronize
struct Place { int x; };
static Place blockDim;
static thread_local Place threadIdx;
static pthread_barrier_t barrier;
double sums[64];
static void __syncthreads() { pthread_barrier_wait(&barrier); }
static long long ticks, tick;
static long long clock_ticks() { long long now = ticks; ticks += tick; return now; }
"""
CALLS = """
extern "C" void block(int threads, long long now, long long goes_on) {
    blockDim.x = threads;
    ticks = now;
    tick = goes_on;
    pthread_barrier_init(&barrier, 0, threads);
}
extern "C" void thread(int number, long long *ring, long long rows, long long *next,
                       const void *result, long long values, int type, long long work) {
    threadIdx.x = number;
    mark(ring, rows, next, result, values, type, work);
}
"""

Mark = Callable[..., None]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("mark")
    (folder / "mark.cpp").write_text(f'{PRELUDE}#include "{SOURCE}"\n{CALLS}')
    options = "-O2 -Wall -Wextra -Werror -Wno-unknown-pragmas -shared -fPIC -pthread".split()
    library = folder / "mark.so"
    subprocess.run(["g++", *options, "-o", library, folder / "mark.cpp"], check=True)
    return CDLL(str(library))


@pytest.fixture
def ring() -> tuple[HostRing, c_void_p]:
    memory = np.zeros((ROWS + 1, 2), np.int64)
    return HostRing(memory), c_void_p(memory.ctypes.data)


@pytest.fixture
def mark(kernel: CDLL, ring: tuple[HostRing, c_void_p]) -> Mark:
    next_mark = np.zeros(1, np.int64)

    def mark(now: int, result: Tensor | None, work: int = 0) -> None:
        threads = 1 if result is None else THREADS
        kernel.block(c_int(threads), c_int64(now), c_int64(min(work, 1)))
        arguments = (
            ring[1],
            c_int64(ROWS),
            c_void_p(next_mark.ctypes.data),
            c_void_p(None if result is None else result.data_ptr()),
            c_int64(0 if result is None else result.numel()),
            c_int(0 if result is None else TYPES[result.dtype]),
            c_int64(work),
        )
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda number: kernel.thread(number, *arguments), range(threads)))

    return mark


def test_a_mark_says_when(mark: Mark, ring: tuple[HostRing, c_void_p]) -> None:
    for now in range(10, 16):
        mark(now, None)
    assert ring[0].count == 6
    assert_array_equal(ring[0].since(3).ticks, [13, 14, 15])
    assert all(isnan(value) for value in ring[0].since(3).values)


def test_a_mark_with_work_says_when_that_is_done(
    mark: Mark, ring: tuple[HostRing, c_void_p]
) -> None:
    mark(100, None, work=7)
    mark(200, None)
    assert_array_equal(ring[0].since(0).ticks, [107, 200])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", [1, 5, 100_003])
def test_the_last_one_has_the_fingerprint(
    mark: Mark, ring: tuple[HostRing, c_void_p], dtype: str, values: int
) -> None:
    generator = torch.Generator().manual_seed(values)
    result = torch.randn(values, generator=generator).to(getattr(torch, dtype))
    mark(1, result)
    mark(2, result.clone())
    first, second = ring[0].since(0).values
    assert first == second
    assert first == pytest.approx(fingerprint(result, weights(values)), rel=1e-12, abs=1e-9)
    result[values // 2] += 1
    mark(3, result)
    assert ring[0].since(2).values[0] != first


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_half_is_read_as_it_is(
    mark: Mark, ring: tuple[HostRing, c_void_p], dtype: torch.dtype
) -> None:
    """The finite ones in three sums, one of small ones only; the others alone."""
    halves = torch.arange(1 << 16).to(torch.int32).to(torch.int16).view(dtype)
    finite = halves[torch.isfinite(halves)]
    special = halves[~torch.isfinite(halves)]
    for some in (finite[finite.abs() < 1e-4], finite[finite > 0], finite[finite < 0]):
        mark(1, some)
        (told,) = ring[0].since(ring[0].count - 1).values
        assert told == pytest.approx(fingerprint(some, weights(len(some))), rel=1e-12)
    for value in (special[0], special[1], special[-1]):
        mark(2, value)
        (told,) = ring[0].since(ring[0].count - 1).values
        assert_array_equal(told, float(value))
