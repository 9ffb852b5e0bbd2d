// A mark: one command of a stream that says when it was reached and, at a request's end, what the
// request computed. One block of threads. CUDA's and HIP's run-time compilers read this file, and
// the tests a C++ compiler; it includes nothing, so that all three find what they need.

typedef long long int64;

union Bits {
    int64 whole;
    double number;
};

__device__ static double number_of(int64 whole)
{
    Bits bits;
    bits.whole = whole;
    return bits.number;
}

// The device's clock in ticks of its own.
#if defined(__HIP__)
__device__ static int64 clock_ticks() { return wall_clock64(); }
#elif defined(__CUDACC__)
__device__ static int64 clock_ticks()
{
    int64 ticks;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ticks)::"memory");
    return ticks;
}
#endif

// A float16 by its bits. Exponent and fraction are moved to where a double has them, whose exponents
// are 1008 larger; this is exact for the smallest ones, too.
__device__ static double half_of(unsigned short bits)
{
    int64 magnitude = (int64)(bits & 0x7fff) << 42;
    double value = (bits & 0x7c00) == 0x7c00 ? number_of(0x7ff0000000000000 | magnitude)
                                             : number_of(magnitude) * number_of(0x7ef0000000000000);
    return bits & 0x8000 ? -value : value;
}

// type: 0 float32, 1 float16, 2 bfloat16, which is the upper half of a float32.
__device__ static double value_at(const void *result, int64 i, int type)
{
    if (type == 0) return ((const float *)result)[i];
    unsigned short bits = ((const unsigned short *)result)[i];
    if (type == 1) return half_of(bits);
    union {
        unsigned whole;
        float number;
    } upper;
    upper.whole = (unsigned)bits << 16;
    return upper.number;
}

// 1 + (i * MULTIPLIER mod STEPS) / STEPS, as in models/fingerprint.py: STEPS is 2^16, and a double's
// fraction begins with these 16 bits.
__device__ static double weight_at(int64 i)
{
    int64 step = ((unsigned)i * 2654435761u) & 0xffff;
    return number_of(0x3ff0000000000000 | step << 36);
}

// The sum of all values by their weights, in an order that depends on nothing but their number and
// the block's. The block is a power of two.
__device__ static double fingerprint(const void *result, int64 values, int type)
{
    extern __shared__ double sums[];
    int me = threadIdx.x;
    double sum = 0;
#pragma unroll 8
    for (int64 i = me; i < values; i += blockDim.x)
        sum += weight_at(i) * value_at(result, i, type);
    sums[me] = sum;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (me < half) sums[me] += sums[me + half];
    }
    return sums[me]; // the first thread's has them all
}

// ring: in the host's memory, the count and an unused number, then so many rows of ticks and value.
// next: the count in the device's memory, where it is read faster. values: how many `result` has,
// 0 where there is none. work: ticks that pass before the mark, for commands that do nothing else.
extern "C" __global__ void mark(int64 *ring, int64 rows, int64 *next, const void *result,
                                int64 values, int type, int64 work)
{
    int64 begin = clock_ticks(), ticks = begin; // before the fingerprint, whose result is there
    while (ticks - begin < work) ticks = clock_ticks();
    Bits value;
    value.whole = 0x7ff8000000000000; // not a number
    if (values > 0) value.number = fingerprint(result, values, type);
    if (threadIdx.x > 0) return;
    int64 index = *next;
    volatile int64 *row = ring + 2 + 2 * (index % rows);
    row[0] = ticks;
    row[1] = value.whole;
    __threadfence_system(); // who sees the count sees the row
    *(volatile int64 *)ring = *next = index + 1;
}
