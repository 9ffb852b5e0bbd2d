/* A double of XSched's HIP shim, over the double of its library: as much as the client uses beside
 * the companion. Written from what the shim does; no code of XSched's. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct { unsigned x, y, z; } dim3;
typedef struct {
    int (*make)(void *);
    void *to, *stream;
    const void *kernel;
    int value;
    size_t bytes;
} Call;

uint64_t DoubleHipQueue(void *stream);
int HwCommandCreateCallback(uint64_t *command, int (*launch)(uint64_t, void *), void *data);
int XQueueSubmit(uint64_t xq, uint64_t command), XQueueWaitAll(uint64_t xq);

static void *real(const char *name) {
    static void *runtime;
    if (!runtime) runtime = dlopen(getenv("XSCHED_HIP_LIB"), RTLD_NOW | RTLD_LOCAL);
    return dlsym(runtime, name);
}

static int launch(uint64_t hwq, void *data) {
    Call *call = data;
    int result = call->make(call);
    (void)hwq;
    free(call);
    return result;
}

static int put(Call call) {
    uint64_t command, xq = DoubleHipQueue(call.stream);
    if (!xq) return call.make(&call);
    Call *copy = malloc(sizeof *copy);
    *copy = call;
    HwCommandCreateCallback(&command, launch, copy);
    return XQueueSubmit(xq, command);
}

static int make_fill(void *data) {
    static int (*real_one)(void *, int, size_t, void *);
    Call *call = data;
    if (!real_one) real_one = real("hipMemsetAsync");
    return real_one(call->to, call->value, call->bytes, call->stream);
}
int hipMemsetAsync(void *to, int value, size_t bytes, void *stream) {
    return put((Call){make_fill, to, stream, NULL, value, bytes});
}

/* Of kernels without arguments. */
static int make_launch(void *data) {
    static int (*real_one)(const void *, dim3, dim3, void **, size_t, void *);
    Call *call = data;
    dim3 one = {1, 1, 1};
    if (!real_one) real_one = real("hipLaunchKernel");
    return real_one(call->kernel, one, one, NULL, 0, call->stream);
}
int hipLaunchKernel(const void *f, dim3 grid, dim3 block, void **args, size_t shared,
                    void *stream) {
    (void)grid; (void)block; (void)args; (void)shared;
    return put((Call){make_launch, NULL, stream, f, 0, 0});
}

/* What the shim hands on, to the runtime that it was told of. */
#define HAND_ON(name, parameters, ...) \
    int name parameters { return ((int (*) parameters)real(#name))(__VA_ARGS__); }
HAND_ON(hipStreamCreateWithFlags, (void **stream, unsigned flags), stream, flags)
HAND_ON(hipModuleLoadData, (void **module, const void *image), module, image)
HAND_ON(hipModuleGetFunction, (void **f, void *module, const char *name), f, module, name)
HAND_ON(__hipRegisterFunction,
        (void **modules, const void *host, char *device, const char *name, unsigned limit,
         void *tid, void *bid, dim3 *block, dim3 *grid, int *wave),
        modules, host, device, name, limit, tid, bid, block, grid, wave)

int hipStreamSynchronize(void *stream) {
    int (*real_one)(void *) = real("hipStreamSynchronize");
    uint64_t xq = DoubleHipQueue(stream);
    if (xq) XQueueWaitAll(xq);
    return real_one(stream);
}
