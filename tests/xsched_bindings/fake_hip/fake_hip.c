/* A HIP runtime without a GPU, for tests: libamdhip64.so.7 with versioned symbols.
 *
 * A stream executes what is put on it in order, on a thread of its own, each command after the
 * delay that FAKE_HIP_DELAY_US says, and notes its name in the journal. Memory is the host's. As the
 * real runtime does, it copies a kernel's arguments when the kernel is launched, and the pageable
 * source of a copy when that is asked for. A stream of another runtime is answered with error 709.
 *
 * The kernels are listed below. A hipFunction_t is opaque but for the way to its parameters'
 * layout, which XSched's shim goes: a pointer at FAKE_HIP_KERNEL_OFFSET (136 in ROCm up to 6.3, 40
 * or 72 in later ones) leads to it. -DWITHOUT_PARAM_INFO leaves out the public function that tells
 * it.
 *
 * Of the calls that only have to be in order nothing is done but to note them.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { hipSuccess = 0, hipErrorInvalidValue = 1, hipErrorNotFound = 500, hipErrorNotReady = 600,
       hipErrorContextIsDestroyed = 709 };
enum { HOST_TO_DEVICE = 1 };

#define UNUSED __attribute__((unused))

typedef struct { unsigned x, y, z; } dim3;
typedef struct { void *ptr; size_t pitch, xsize, ysize; } hipPitchedPtr;
typedef struct { size_t width, height, depth; } hipExtent;

/* --- the journal ---------------------------------------------------------------------------- */

enum { JOURNAL = 1 << 16 };
static const char *journal[JOURNAL];
static int executed;

const char *fakeExecuted(int index) { return journal[index % JOURNAL]; }
int fakeExecutedCount(void) { return __atomic_load_n(&executed, __ATOMIC_ACQUIRE); }

/* --- streams -------------------------------------------------------------------------------- */

typedef struct Op {
    const char *name;                 /* NULL: not noted */
    void (*run)(struct Op *);
    void *to, *from;
    size_t pitch, from_pitch, width, height;
    void (*function)(void *);
    struct Op *next;
    char data[];
} Op;

typedef struct Stream {
    const void *runtime;              /* who made it */
    Op *first, **last;
    bool busy, closing;
    int capturing;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} Stream;

static char this_runtime;

static void *execute(void *argument) {
    Stream *stream = argument;
    const char *delay = getenv("FAKE_HIP_DELAY_US");
    unsigned delay_us = delay ? atoi(delay) : 0;
    pthread_mutex_lock(&stream->lock);
    while (true) {
        Op *op = stream->first;
        if (!op && stream->closing) break;
        if (!op) { pthread_cond_wait(&stream->changed, &stream->lock); continue; }
        if (!(stream->first = op->next)) stream->last = &stream->first;
        stream->busy = true;
        pthread_mutex_unlock(&stream->lock);
        if (delay_us) usleep(delay_us);
        if (op->run) op->run(op);
        pthread_mutex_lock(&stream->lock);
        if (op->name) {
            journal[executed % JOURNAL] = op->name;
            __atomic_add_fetch(&executed, 1, __ATOMIC_RELEASE);
        }
        stream->busy = false;
        free(op);
        pthread_cond_broadcast(&stream->changed);
    }
    pthread_mutex_unlock(&stream->lock);
    return NULL;
}

static Op *op(const char *name, void (*run)(Op *), size_t bytes) {
    Op *made = calloc(1, sizeof *made + bytes);
    made->name = name;
    made->run = run;
    return made;
}

static int put(Stream *stream, Op *op) {
    if (!stream) { if (op->run) op->run(op); free(op); return hipSuccess; }
    if (stream->runtime != &this_runtime) { free(op); return hipErrorContextIsDestroyed; }
    pthread_mutex_lock(&stream->lock);
    if (stream->capturing) {
        free(op);
    } else {
        *stream->last = op;
        stream->last = &op->next;
        pthread_cond_broadcast(&stream->changed);
    }
    pthread_mutex_unlock(&stream->lock);
    return hipSuccess;
}

int hipStreamCreateWithFlags(Stream **stream, unsigned flags) {
    Stream *made = calloc(1, sizeof *made);
    (void)flags;
    made->runtime = &this_runtime;
    made->last = &made->first;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    pthread_create(&made->thread, NULL, execute, made);
    *stream = made;
    return hipSuccess;
}
int hipStreamSynchronize(Stream *stream) {
    if (!stream) return hipSuccess;
    if (stream->runtime != &this_runtime) return hipErrorContextIsDestroyed;
    pthread_mutex_lock(&stream->lock);
    while (stream->first || stream->busy) pthread_cond_wait(&stream->changed, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
    return hipSuccess;
}
int hipStreamDestroy(Stream *stream) {
    pthread_mutex_lock(&stream->lock);
    stream->closing = true;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    pthread_join(stream->thread, NULL);
    free(stream);
    return hipSuccess;
}
int hipStreamGetFlags(Stream *stream, unsigned *flags) {
    *flags = 1;
    return stream && stream->runtime != &this_runtime ? hipErrorContextIsDestroyed : hipSuccess;
}
int hipStreamBeginCapture(Stream *stream, int mode) {
    (void)mode;
    stream->capturing = 1;
    return hipSuccess;
}
int hipStreamEndCapture(Stream *stream, void **graph) {
    stream->capturing = 0;
    *graph = &this_runtime;
    return hipSuccess;
}
int hipStreamIsCapturing(Stream *stream, int *status) {
    *status = stream ? stream->capturing : 0;
    return hipSuccess;
}

/* --- kernels: their arguments are where their layout says ------------------------------------- */

typedef struct { size_t at, size; } Param;
typedef struct { int64_t values[4]; } Block;

static void run_nothing(char *arguments) { (void)arguments; }
static void run_store(char *arguments) {
    int **to = (int **)arguments;
    **to = *(int *)(arguments + 8);
}
static void run_count(char *arguments) { ++**(int64_t **)arguments; }
/* (int64_t *to, int8_t a, int64_t b, Block c): their sum, the sizes all different. */
static void run_add(char *arguments) {
    int64_t **to = (int64_t **)arguments;
    **to = *(int8_t *)(arguments + 8) + *(int64_t *)(arguments + 16) +
           ((Block *)(arguments + 24))->values[3];
}

typedef struct { const char *name; void (*run)(char *); int count; Param params[4]; } Kernel;
static const Kernel kernels[] = {
    {"nothing", run_nothing, 0, {{0, 0}}},
    {"store", run_store, 2, {{0, 8}, {8, 4}}},
    {"count", run_count, 1, {{0, 8}}},
    {"add", run_add, 4, {{0, 8}, {8, 1}, {16, 8}, {24, sizeof(Block)}}},
};

/* As far as XSched's shim looks into the runtime (platforms/hip/hal/src/kernel_param.cpp). */
typedef struct { size_t nothing, at, size; char rest[120 - 3 * 8]; } Descriptor;
typedef struct {
    Descriptor *begin, *end, *room;
    char between[56 - 3 * 8];
    uint32_t count;
} Signature;
typedef struct { Signature *signature; } Parameters;
typedef struct { char before[72]; Parameters *parameters; } KernelObject;
typedef struct { char before[240]; const Kernel *kernel; } Function;

static Function *function_of(const Kernel *kernel) {
    const char *offset = getenv("FAKE_HIP_KERNEL_OFFSET");
    Function *function = calloc(1, sizeof *function);
    KernelObject *object = calloc(1, sizeof *object);
    object->parameters = calloc(1, sizeof *object->parameters);
    Signature *signature = object->parameters->signature = calloc(1, sizeof *signature);
    signature->count = kernel->count;
    signature->begin = calloc(4, sizeof *signature->begin);
    for (int i = 0; i < kernel->count; i++) {
        signature->begin[i].at = kernel->params[i].at;
        signature->begin[i].size = kernel->params[i].size;
    }
    memcpy((char *)function + (offset ? atoi(offset) : 136), &object, sizeof object);
    function->kernel = kernel;
    return function;
}

static const Kernel *kernel_named(const char *name) {
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if (!strcmp(kernels[i].name, name)) return &kernels[i];
    return NULL;
}

int hipModuleLoadData(void **module, const void *image) {
    (void)image;
    *module = &this_runtime;
    return hipSuccess;
}
int hipModuleGetFunction(Function **function, void *module, const char *name) {
    const Kernel *kernel = kernel_named(name);
    (void)module;
    if (!kernel) return hipErrorNotFound;
    *function = function_of(kernel);
    return hipSuccess;
}

/* Kernels by the address of a function of the host's. */
static struct { const void *host; Function *function; } registered[16];
void __hipRegisterFunction(void UNUSED **modules, const void *host, char UNUSED *device,
                           const char *name, unsigned UNUSED limit, void UNUSED *tid,
                           void UNUSED *bid, dim3 UNUSED *block, dim3 UNUSED *grid,
                           int UNUSED *wave) {
    int at = 0;
    while (registered[at].host) at++;
    registered[at].function = function_of(kernel_named(name));
    registered[at].host = host;
}
static Function *by_symbol(const void *host) {
    for (int i = 0; i < 16; i++) if (registered[i].host == host) return registered[i].function;
    return NULL;
}
int hipGetFuncBySymbol(Function **function, const void *host) {
    *function = by_symbol(host);
    return *function ? hipSuccess : hipErrorNotFound;
}
#ifndef WITHOUT_PARAM_INFO
int hipKernelGetParamInfo(Function *function, size_t index, size_t *at, size_t *size) {
    if (index >= (size_t)function->kernel->count) return hipErrorInvalidValue;
    *at = function->kernel->params[index].at;
    *size = function->kernel->params[index].size;
    return hipSuccess;
}
#endif

static void run_kernel(Op *op) { ((const Kernel *)op->from)->run(op->data); }

static int launch(const char *name, Function *function, void **params, void **extra,
                  Stream *stream) {
    if (!function) return hipErrorNotFound;
    const Kernel *kernel = function->kernel;
    Op *made = op(name, run_kernel, 64);
    made->from = (void *)kernel;
    if (params && extra) { free(made); return hipErrorInvalidValue; }
    if (extra) memcpy(made->data, extra[1], *(size_t *)extra[3]);
    for (int i = 0; !extra && i < kernel->count; i++)
        memcpy(made->data + kernel->params[i].at, params[i], kernel->params[i].size);
    return put(stream, made);
}

int hipModuleLaunchKernel(Function *f, unsigned UNUSED gx, unsigned UNUSED gy, unsigned UNUSED gz,
                          unsigned UNUSED bx, unsigned UNUSED by, unsigned UNUSED bz,
                          unsigned UNUSED shared, Stream *stream, void **params, void **extra) {
    return launch(__func__, f, params, extra, stream);
}
int hipExtModuleLaunchKernel(Function *f, uint32_t UNUSED gx, uint32_t UNUSED gy,
                             uint32_t UNUSED gz, uint32_t UNUSED lx, uint32_t UNUSED ly,
                             uint32_t UNUSED lz, size_t UNUSED shared, Stream *stream,
                             void **params, void **extra, void UNUSED *start,
                             void UNUSED *stop, uint32_t UNUSED flags) {
    return launch(__func__, f, params, extra, stream);
}
int hipHccModuleLaunchKernel(Function *f, uint32_t UNUSED gx, uint32_t UNUSED gy,
                             uint32_t UNUSED gz, uint32_t UNUSED lx, uint32_t UNUSED ly,
                             uint32_t UNUSED lz, size_t UNUSED shared, Stream *stream,
                             void **params, void **extra, void UNUSED *start, void UNUSED *stop) {
    return launch(__func__, f, params, extra, stream);
}
int hipModuleLaunchCooperativeKernel(Function *f, unsigned UNUSED gx, unsigned UNUSED gy,
                                     unsigned UNUSED gz, unsigned UNUSED bx, unsigned UNUSED by,
                                     unsigned UNUSED bz, unsigned UNUSED shared, Stream *stream,
                                     void **params) {
    return launch(__func__, f, params, NULL, stream);
}
int hipLaunchKernel(const void *f, dim3 UNUSED grid, dim3 UNUSED block, void **args,
                    size_t UNUSED shared, Stream *stream) {
    return launch(__func__, by_symbol(f), args, NULL, stream);
}
int hipExtLaunchKernel(const void *f, dim3 UNUSED grid, dim3 UNUSED block, void **args,
                       size_t UNUSED shared, Stream *stream, void UNUSED *start, void UNUSED *stop,
                       int UNUSED flags) {
    return launch(__func__, by_symbol(f), args, NULL, stream);
}
int hipLaunchCooperativeKernel(const void *f, dim3 UNUSED grid, dim3 UNUSED block, void **args,
                               unsigned UNUSED shared, Stream *stream) {
    return launch(__func__, by_symbol(f), args, NULL, stream);
}
typedef struct { unsigned sizes[8]; Stream *stream; void *attributes; unsigned count; } Config;
int hipLaunchKernelExC(const Config *config, const void *f, void **args) {
    return launch(__func__, by_symbol(f), args, NULL, config->stream);
}
int hipDrvLaunchKernelEx(const Config *config, Function *f, void **params, void **extra) {
    return launch(__func__, f, params, extra, config->stream);
}
typedef struct {
    void *f;
    dim3 grid, block;
    void **args;
    size_t shared;
    Stream *stream;
} LaunchParams;
#define ON_DEVICES(name)                                                                    \
    int name(LaunchParams *list, unsigned devices, unsigned UNUSED flags) {                 \
        int result = hipSuccess;                                                            \
        for (unsigned i = 0; i < devices && !result; i++)                                   \
            result = launch(__func__, by_symbol(list[i].f), list[i].args, NULL, list[i].stream); \
        return result;                                                                      \
    }
ON_DEVICES(hipLaunchCooperativeKernelMultiDevice)
ON_DEVICES(hipExtLaunchMultiKernelMultiDevice)
typedef struct { Function *f; unsigned sizes[7]; Stream *stream; void **args; } FunctionParams;
int hipModuleLaunchCooperativeKernelMultiDevice(FunctionParams *list, unsigned UNUSED devices,
                                                unsigned UNUSED flags) {
    return launch(__func__, list->f, list->args, NULL, list->stream);
}

/* --- memory and functions of the host --------------------------------------------------------- */

static void run_fill(Op *op) {
    for (size_t row = 0; row < op->height; row++)
        memset((char *)op->to + row * op->pitch, (int)op->from_pitch, op->width);
}
static int fill(const char *name, void *to, size_t pitch, int value, size_t width, size_t height,
                Stream *stream) {
    Op *made = op(name, run_fill, 0);
    made->to = to; made->pitch = pitch; made->from_pitch = value; made->width = width;
    made->height = height;
    return put(stream, made);
}
int hipMemsetAsync(void *to, int value, size_t bytes, Stream *stream) {
    return fill(__func__, to, 0, value, bytes, 1, stream);
}
int hipMemset2DAsync(void *to, size_t pitch, int value, size_t width, size_t height,
                     Stream *stream) {
    return fill(__func__, to, pitch, value, width, height, stream);
}
int hipMemset3DAsync(hipPitchedPtr to, int value, hipExtent extent, Stream *stream) {
    size_t rows = extent.height * extent.depth;
    return fill(__func__, to.ptr, to.pitch, value, extent.width, rows, stream);
}

static void run_copy(Op *op) {
    for (size_t row = 0; row < op->height; row++)
        memcpy((char *)op->to + row * op->pitch, (char *)op->from + row * op->from_pitch,
               op->width);
}
int hipMemcpy2DAsync(void *to, size_t pitch, const void *from, size_t from_pitch, size_t width,
                     size_t height, int kind, Stream *stream) {
    bool staged = kind == HOST_TO_DEVICE;
    Op *made = op(__func__, run_copy, staged ? from_pitch * height : 0);
    if (staged) memcpy(made->data, from, from_pitch * (height - 1) + width);
    made->to = to; made->pitch = pitch; made->width = width; made->height = height;
    made->from = staged ? made->data : (void *)from;
    made->from_pitch = from_pitch;
    return put(stream, made);
}

static void run_function(Op *op) { op->function(op->to); }
int hipLaunchHostFunc(Stream *stream, void (*function)(void *), void *data) {
    Op *made = op(__func__, run_function, 0);
    made->function = function;
    made->to = data;
    return put(stream, made);
}
static void run_callback(Op *op) { ((void (*)(void *, int, void *))op->from)(NULL, 0, op->to); }
int hipStreamAddCallback(Stream *stream, void (*function)(Stream *, int, void *), void *data,
                         unsigned UNUSED flags) {
    Op *made = op(__func__, run_callback, 0);
    made->from = (void *)function;
    made->to = data;
    return put(stream, made);
}
int hipMallocAsync(void **pointer, size_t bytes, Stream *stream) {
    *pointer = malloc(bytes);
    return put(stream, op(__func__, NULL, 0));
}
int hipMallocFromPoolAsync(void **pointer, size_t bytes, void UNUSED *pool, Stream *stream) {
    *pointer = malloc(bytes);
    return put(stream, op(__func__, NULL, 0));
}

/* Calls that only have to be in order. */
#define NOTE(name, ...) \
    int name(__VA_ARGS__) { return put(stream, op(__func__, NULL, 0)); }
typedef UNUSED void *P;
typedef UNUSED size_t Z;
typedef UNUSED unsigned U;
#pragma GCC diagnostic ignored "-Wunused-parameter"
NOTE(hipGraphLaunch, P exec, Stream *stream)
NOTE(hipGraphUpload, P exec, Stream *stream)
NOTE(hipMemcpy2DToArrayAsync, P to, Z x, Z y, P from, Z pitch, Z width, Z height, int kind,
     Stream *stream)
NOTE(hipMemcpy2DFromArrayAsync, P to, Z pitch, P from, Z x, Z y, Z width, Z height, int kind,
     Stream *stream)
NOTE(hipMemcpyParam2DAsync, P copy, Stream *stream)
NOTE(hipMemcpy3DAsync, P copy, Stream *stream)
NOTE(hipDrvMemcpy3DAsync, P copy, Stream *stream)
NOTE(hipMemcpyAtoHAsync, P to, P from, Z at, Z bytes, Stream *stream)
NOTE(hipMemcpyHtoAAsync, P to, Z at, P from, Z bytes, Stream *stream)
NOTE(hipMemcpyToSymbolAsync, P symbol, P from, Z bytes, Z at, int kind, Stream *stream)
NOTE(hipMemcpyFromSymbolAsync, P to, P symbol, Z bytes, Z at, int kind, Stream *stream)
NOTE(hipMemcpyPeerAsync, P to, int a, P from, int b, Z bytes, Stream *stream)
NOTE(hipFreeAsync, P pointer, Stream *stream)
NOTE(hipMemPrefetchAsync, P pointer, Z bytes, int device, Stream *stream)
NOTE(hipStreamAttachMemAsync, Stream *stream, P pointer, Z bytes, U flags)
NOTE(hipMemMapArrayAsync, P maps, U count, Stream *stream)
NOTE(hipStreamWaitValue32, Stream *stream, P at, uint32_t value, U flags, uint32_t mask)
NOTE(hipStreamWaitValue64, Stream *stream, P at, uint64_t value, U flags, uint64_t mask)
NOTE(hipStreamWriteValue32, Stream *stream, P at, uint32_t value, U flags)
NOTE(hipStreamWriteValue64, Stream *stream, P at, uint64_t value, U flags)
NOTE(hipStreamBatchMemOp, Stream *stream, U count, P operations, U flags)
NOTE(hipSignalExternalSemaphoresAsync, P semaphores, P params, U count, Stream *stream)
NOTE(hipWaitExternalSemaphoresAsync, P semaphores, P params, U count, Stream *stream)
NOTE(hipMemcpyHtoDAsync, P to, P from, Z bytes, Stream *stream)
NOTE(hipMemcpyDtoHAsync, P to, P from, Z bytes, Stream *stream)
NOTE(hipMemcpyDtoDAsync, P to, P from, Z bytes, Stream *stream)
NOTE(hipMemcpyAsync, P to, P from, Z bytes, int kind, Stream *stream)
NOTE(hipMemcpyWithStream, P to, P from, Z bytes, int kind, Stream *stream)
NOTE(hipMemsetD8Async, P to, unsigned char value, Z count, Stream *stream)
NOTE(hipMemsetD16Async, P to, unsigned short value, Z count, Stream *stream)
NOTE(hipMemsetD32Async, P to, int value, Z count, Stream *stream)

/* --- events, contexts, what else a shim asks for ---------------------------------------------- */

typedef struct { int pending; } Event;
static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t event_reached = PTHREAD_COND_INITIALIZER;

int hipEventCreateWithFlags(Event **event, unsigned UNUSED flags) {
    *event = calloc(1, sizeof **event);
    return hipSuccess;
}
int hipEventDestroy(Event *event) { free(event); return hipSuccess; }
static void set_pending(Event *event, int by) {
    pthread_mutex_lock(&events_lock);
    event->pending += by;
    pthread_cond_broadcast(&event_reached);
    pthread_mutex_unlock(&events_lock);
}
static void run_event(Op *op) { set_pending(op->to, -1); }
int hipEventRecord(Event *event, Stream *stream) {
    Op *made = op(NULL, run_event, 0);
    made->to = event;
    set_pending(event, 1);
    return put(stream, made);
}
int hipEventSynchronize(Event *event) {
    pthread_mutex_lock(&events_lock);
    while (event->pending) pthread_cond_wait(&event_reached, &events_lock);
    pthread_mutex_unlock(&events_lock);
    return hipSuccess;
}
int hipEventQuery(Event *event) { return event->pending ? hipErrorNotReady : hipSuccess; }

int hipCtxGetCurrent(void **context) { *context = &this_runtime; return hipSuccess; }
int hipCtxSetCurrent(void UNUSED *context) { return hipSuccess; }
int hipCtxGetDevice(int *device) { *device = 0; return hipSuccess; }
int hipCtxSynchronize(void) { return hipSuccess; }
int hipGetDeviceProperties(void UNUSED *properties, int UNUSED device) { return hipSuccess; }
int hipGetDevicePropertiesR0600(void UNUSED *properties, int UNUSED device) { return hipSuccess; }
int hipRuntimeGetVersion(int *version) { *version = 70200000; return hipSuccess; }
const char *hipGetErrorString(int UNUSED error) { return "an error of the fake runtime"; }

int hipGetProcAddress(const char *symbol, void **function, int UNUSED version,
                      uint64_t UNUSED flags, void UNUSED *status) {
    if (!strcmp(symbol, "hipModuleLaunchKernel")) *function = hipModuleLaunchKernel;
    else if (!strcmp(symbol, "hipMemsetAsync")) *function = hipMemsetAsync;
    else if (!strcmp(symbol, "hipCtxSynchronize")) *function = hipCtxSynchronize;
    else return hipErrorNotFound;
    return hipSuccess;
}
