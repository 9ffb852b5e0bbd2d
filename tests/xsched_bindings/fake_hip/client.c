/* A program that uses HIP as libraries above it do: linked against the runtime's versioned symbols,
 * and through dlsym and hipGetProcAddress. XSched is loaded as the bindings load it.
 *
 * client calls [NAME …]   each call, on a queue that is suspended, between two fills of the shim's:
 *                         NAME result counted early returned order
 *                         counted: by how much the queue's count grew; early: what was executed
 *                         while it was suspended; returned: whether the call did by then; order: of
 *                         what was executed, b(efore), n(ame) and a(fter)
 * client lifetime N [WAY] each way to give arguments, overwritten when the call has returned while
 *                         the queue is suspended: WAY right N
 * client lookup           which library's function is found: NAME HOW LIBRARY
 * client unqueued         calls on a stream without a queue, in a capture, after the queue closed
 * client cost N           nanoseconds of a launch by the shim's path and by others, to a suspended
 *                         queue: the least of several rounds of N
 *
 * At the end: "counts NAME queued held passed" by the companion, and "descriptors BEFORE AFTER".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct { unsigned x, y, z; } dim3;
typedef struct { void *ptr; size_t pitch, xsize, ysize; } hipPitchedPtr;
typedef struct { size_t width, height, depth; } hipExtent;
typedef struct { unsigned sizes[8]; void *stream; void *attributes; unsigned count; } Config;
typedef struct {
    void *f;
    dim3 grid, block;
    void **args;
    size_t shared;
    void *stream;
} LaunchParams;
typedef struct { void *f; unsigned sizes[7]; void *stream; void **args; } FunctionParams;
typedef size_t Z;
typedef struct { int64_t values[4]; } Block;

int hipStreamCreateWithFlags(void **, unsigned), hipStreamSynchronize(void *);
int hipStreamBeginCapture(void *, int), hipStreamEndCapture(void *, void **);
int hipModuleLoadData(void **, const void *), hipModuleGetFunction(void **, void *, const char *);
int hipMemsetAsync(void *, int, size_t, void *);
int hipGetProcAddress(const char *, void **, int, uint64_t, void *);
void __hipRegisterFunction(void **, const void *, char *, const char *, unsigned, void *, void *,
                           dim3 *, dim3 *, int *);

static int (*HipQueueCreate)(uint64_t *, void *);
static int (*XQueueCreate)(uint64_t *, uint64_t, int64_t, int64_t), (*XQueueDestroy)(uint64_t);
static int (*HwQueueDestroy)(uint64_t), (*XQueueSetLaunchConfig)(uint64_t, int64_t, int64_t);
static int (*XQueueSuspend)(uint64_t, int64_t), (*XQueueResume)(uint64_t, int64_t);
static int (*XQueueProfileHwCommandCount)(uint64_t, int64_t *);
static const char *(*fakeExecuted)(int);
static int (*fakeExecutedCount)(void);

static void *needed(void *from, const char *what) {
    if (from) return from;
    fprintf(stderr, "client: %s: %s\n", what, dlerror());
    exit(1);
}
#define LOOK_UP(library, name) name = needed(dlsym(library, #name), #name)

static void *stream, *function, *store, *add, *runtime;
static uint64_t hwq, xq;
static char nothing_on_host, store_on_host, add_on_host, buffer[256], other[256];

static void load(void) {
    void *xsched = needed(dlopen("libpreempt.so", RTLD_NOW | RTLD_GLOBAL), "libpreempt.so");
    void *hal = needed(dlopen("libhalhip.so", RTLD_NOW | RTLD_GLOBAL), "libhalhip.so");
    void *module;
    /* What was executed is asked of the runtime that is meant, whichever this is linked against. */
    runtime = needed(dlopen(getenv("XSCHED_HIP_LIB"), RTLD_NOW), "XSCHED_HIP_LIB");
    LOOK_UP(hal, HipQueueCreate);
    LOOK_UP(xsched, XQueueCreate);
    LOOK_UP(xsched, XQueueDestroy);
    LOOK_UP(xsched, HwQueueDestroy);
    LOOK_UP(xsched, XQueueSetLaunchConfig);
    LOOK_UP(xsched, XQueueSuspend);
    LOOK_UP(xsched, XQueueResume);
    LOOK_UP(xsched, XQueueProfileHwCommandCount);
    LOOK_UP(runtime, fakeExecuted);
    LOOK_UP(runtime, fakeExecutedCount);
    hipModuleLoadData(&module, "");
    hipModuleGetFunction(&function, module, "nothing");
    hipModuleGetFunction(&store, module, "store");
    hipModuleGetFunction(&add, module, "add");
    const struct { void *host; const char *name; } static_kernels[] = {
        {&nothing_on_host, "nothing"}, {&store_on_host, "store"}, {&add_on_host, "add"}};
    for (int i = 0; i < 3; i++)
        __hipRegisterFunction(NULL, static_kernels[i].host, NULL, static_kernels[i].name, 0, NULL,
                              NULL, NULL, NULL, NULL);
}

static void open_queue(void) {
    hipStreamCreateWithFlags(&stream, 1);
    if (HipQueueCreate(&hwq, stream) || XQueueCreate(&xq, hwq, 1, 0)) exit(2);
    XQueueSetLaunchConfig(xq, 8, 4);
}

static void close_queue(void) {
    XQueueDestroy(xq);
    HwQueueDestroy(hwq);
}

static int64_t counted(void) {
    int64_t count = 0;
    XQueueProfileHwCommandCount(xq, &count);
    return count;
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* Until the queue has so many commands, or for so long. */
static void await_count(int64_t count, double ms) {
    for (double end = now_ms() + ms; counted() < count && now_ms() < end;) usleep(100);
}

/* --- calls ------------------------------------------------------------------------------------ */

static const dim3 one = {1, 1, 1};
static void *extra_size = (void *)16;
static void **nothing_in_buffer(void) {
    static void *extra[] = {(void *)1, buffer, (void *)2, &extra_size, (void *)3};
    return extra;
}
static void host_function(void *data) { (void)data; }
static void *pointer;

typedef struct { const char *name; int (*call)(void); } Case;
#define CASE(name, ...)                                 \
    int name();                                         \
    static int call_##name(void) { return name(__VA_ARGS__); }

CASE(hipLaunchKernel, &nothing_on_host, one, one, (void **)NULL, (Z)0, stream)
CASE(hipModuleLaunchKernel, function, 1, 1, 1, 1, 1, 1, 0, stream, (void **)NULL,
     nothing_in_buffer())
CASE(hipExtModuleLaunchKernel, function, 1, 1, 1, 1, 1, 1, (Z)0, stream, (void **)NULL,
     nothing_in_buffer(), (void *)NULL, (void *)NULL, 0)
CASE(hipHccModuleLaunchKernel, function, 1, 1, 1, 1, 1, 1, (Z)0, stream, (void **)NULL,
     nothing_in_buffer(), (void *)NULL, (void *)NULL)
CASE(hipExtLaunchKernel, &nothing_on_host, one, one, (void **)NULL, (Z)0, stream, (void *)NULL,
     (void *)NULL, 0)
CASE(hipLaunchCooperativeKernel, &nothing_on_host, one, one, (void **)NULL, 0, stream)
CASE(hipModuleLaunchCooperativeKernel, function, 1, 1, 1, 1, 1, 1, 0, stream, (void **)NULL)
CASE(hipLaunchKernelExC, &(Config){.stream = stream}, &nothing_on_host, (void **)NULL)
CASE(hipDrvLaunchKernelEx, &(Config){.stream = stream}, function, (void **)NULL, (void **)NULL)
CASE(hipLaunchCooperativeKernelMultiDevice,
     &(LaunchParams){.f = &nothing_on_host, .stream = stream}, 1, 0)
CASE(hipExtLaunchMultiKernelMultiDevice,
     &(LaunchParams){.f = &nothing_on_host, .stream = stream}, 1, 0)
CASE(hipModuleLaunchCooperativeKernelMultiDevice,
     &(FunctionParams){.f = function, .stream = stream}, 1, 0)
CASE(hipGraphLaunch, (void *)buffer, stream)
CASE(hipGraphUpload, (void *)buffer, stream)
CASE(hipLaunchHostFunc, stream, host_function, (void *)NULL)
CASE(hipStreamAddCallback, stream, host_function, (void *)NULL, 0)
CASE(hipMemset2DAsync, buffer, (Z)4, 0, (Z)4, (Z)2, stream)
CASE(hipMemset3DAsync, ((hipPitchedPtr){buffer, 4, 4, 2}), 0, ((hipExtent){4, 2, 1}), stream)
CASE(hipMemcpy2DAsync, buffer, (Z)4, other, (Z)4, (Z)4, (Z)2, 3, stream)
CASE(hipMemcpy2DToArrayAsync, buffer, (Z)0, (Z)0, other, (Z)4, (Z)4, (Z)2, 1, stream)
CASE(hipMemcpy2DFromArrayAsync, buffer, (Z)4, other, (Z)0, (Z)0, (Z)4, (Z)2, 2, stream)
CASE(hipMemcpyParam2DAsync, buffer, stream)
CASE(hipMemcpy3DAsync, buffer, stream)
CASE(hipDrvMemcpy3DAsync, buffer, stream)
CASE(hipMemcpyAtoHAsync, buffer, other, (Z)0, (Z)4, stream)
CASE(hipMemcpyHtoAAsync, other, (Z)0, buffer, (Z)4, stream)
CASE(hipMemcpyToSymbolAsync, buffer, other, (Z)4, (Z)0, 1, stream)
CASE(hipMemcpyFromSymbolAsync, buffer, other, (Z)4, (Z)0, 2, stream)
CASE(hipMemcpyPeerAsync, buffer, 0, other, 1, (Z)4, stream)
CASE(hipMallocAsync, &pointer, (Z)4, stream)
CASE(hipMallocFromPoolAsync, &pointer, (Z)4, (void *)NULL, stream)
CASE(hipFreeAsync, buffer, stream)
CASE(hipMemPrefetchAsync, buffer, (Z)4, 0, stream)
CASE(hipStreamAttachMemAsync, stream, buffer, (Z)4, 0)
CASE(hipMemMapArrayAsync, buffer, 1, stream)
CASE(hipStreamWaitValue32, stream, buffer, 0, 0, 0)
CASE(hipStreamWaitValue64, stream, buffer, (uint64_t)0, 0, (uint64_t)0)
CASE(hipStreamWriteValue32, stream, buffer, 0, 0)
CASE(hipStreamWriteValue64, stream, buffer, (uint64_t)0, 0)
CASE(hipStreamBatchMemOp, stream, 1, buffer, 0)
CASE(hipSignalExternalSemaphoresAsync, buffer, other, 1, stream)
CASE(hipWaitExternalSemaphoresAsync, buffer, other, 1, stream)
CASE(hipMemcpyHtoDAsync, buffer, other, (Z)4, stream)
CASE(hipMemcpyDtoHAsync, buffer, other, (Z)4, stream)
CASE(hipMemcpyDtoDAsync, buffer, other, (Z)4, stream)
CASE(hipMemcpyAsync, buffer, other, (Z)4, 3, stream)
CASE(hipMemcpyWithStream, buffer, other, (Z)4, 3, stream)
CASE(hipMemsetD8Async, buffer, 0, (Z)4, stream)
CASE(hipMemsetD16Async, buffer, 0, (Z)4, stream)
CASE(hipMemsetD32Async, buffer, 0, (Z)4, stream)

#define ENTRY(name) {#name, call_##name}
static const Case cases[] = {
    ENTRY(hipLaunchKernel), ENTRY(hipModuleLaunchKernel), ENTRY(hipExtModuleLaunchKernel),
    ENTRY(hipHccModuleLaunchKernel), ENTRY(hipExtLaunchKernel), ENTRY(hipLaunchCooperativeKernel),
    ENTRY(hipModuleLaunchCooperativeKernel), ENTRY(hipLaunchKernelExC), ENTRY(hipDrvLaunchKernelEx),
    ENTRY(hipLaunchCooperativeKernelMultiDevice), ENTRY(hipExtLaunchMultiKernelMultiDevice),
    ENTRY(hipModuleLaunchCooperativeKernelMultiDevice), ENTRY(hipGraphLaunch),
    ENTRY(hipGraphUpload), ENTRY(hipLaunchHostFunc), ENTRY(hipStreamAddCallback),
    ENTRY(hipMemset2DAsync), ENTRY(hipMemset3DAsync), ENTRY(hipMemcpy2DAsync),
    ENTRY(hipMemcpy2DToArrayAsync), ENTRY(hipMemcpy2DFromArrayAsync), ENTRY(hipMemcpyParam2DAsync),
    ENTRY(hipMemcpy3DAsync), ENTRY(hipDrvMemcpy3DAsync), ENTRY(hipMemcpyAtoHAsync),
    ENTRY(hipMemcpyHtoAAsync), ENTRY(hipMemcpyToSymbolAsync), ENTRY(hipMemcpyFromSymbolAsync),
    ENTRY(hipMemcpyPeerAsync), ENTRY(hipMallocAsync), ENTRY(hipMallocFromPoolAsync),
    ENTRY(hipFreeAsync), ENTRY(hipMemPrefetchAsync), ENTRY(hipStreamAttachMemAsync),
    ENTRY(hipMemMapArrayAsync), ENTRY(hipStreamWaitValue32), ENTRY(hipStreamWaitValue64),
    ENTRY(hipStreamWriteValue32), ENTRY(hipStreamWriteValue64), ENTRY(hipStreamBatchMemOp),
    ENTRY(hipSignalExternalSemaphoresAsync), ENTRY(hipWaitExternalSemaphoresAsync),
    ENTRY(hipMemcpyHtoDAsync), ENTRY(hipMemcpyDtoHAsync), ENTRY(hipMemcpyDtoDAsync),
    ENTRY(hipMemcpyAsync), ENTRY(hipMemcpyWithStream), ENTRY(hipMemsetD8Async),
    ENTRY(hipMemsetD16Async), ENTRY(hipMemsetD32Async),
};
enum { CASES = sizeof cases / sizeof *cases };

static int result;
static bool has_returned;
static void *make(void *argument) {
    result = ((const Case *)argument)->call();
    __atomic_store_n(&has_returned, true, __ATOMIC_RELEASE);
    return NULL;
}

static void await_return(double ms) {
    double end = now_ms() + ms;
    while (!__atomic_load_n(&has_returned, __ATOMIC_ACQUIRE) && now_ms() < end) usleep(100);
}

static void fill(void) { hipMemsetAsync(buffer, 0, sizeof buffer, stream); }

static void check(const Case *each) {
    pthread_t caller;
    int begin = fakeExecutedCount();
    int64_t count = counted();
    has_returned = false;
    XQueueSuspend(xq, 0);
    fill();
    pthread_create(&caller, NULL, make, (void *)each);
    await_count(count + 2, 300);
    await_return(30);
    usleep(1000);  /* for what is executed in spite of the suspension */
    int64_t grown = counted() - count - 1;
    int early = fakeExecutedCount() - begin;
    bool returned = __atomic_load_n(&has_returned, __ATOMIC_ACQUIRE);
    if (returned) fill();
    XQueueResume(xq, 0);
    pthread_join(caller, NULL);
    if (!returned) fill();
    hipStreamSynchronize(stream);
    printf("%s %d %ld %d %d ", each->name, result, (long)grown, early, returned);
    for (int i = begin; i < fakeExecutedCount(); i++) {
        const char *name = fakeExecuted(i);
        bool is_fill = !strcmp(name, "hipMemsetAsync");
        putchar(!strcmp(name, each->name) ? 'n' : !is_fill ? '?' : i == begin ? 'b' : 'a');
    }
    putchar('\n');
}

static void calls(char **names) {
    open_queue();
    for (int i = 0; i < CASES; i++) {
        bool wanted = !*names;
        for (char **name = names; *name; name++) wanted |= !strcmp(*name, cases[i].name);
        if (wanted) check(&cases[i]);
        fflush(stdout);
    }
    close_queue();
}

/* --- lifetime --------------------------------------------------------------------------------- */

enum {
    MODULE_BUFFER, MODULE, EXT_BUFFER, EXT, COOPERATIVE, SYMBOL_EXT, SYMBOL_COOPERATIVE, ROWS, WAYS
};
static const char *const ways[WAYS] = {
    "hipModuleLaunchKernel-extra", "hipModuleLaunchKernel-params", "hipExtModuleLaunchKernel-extra",
    "hipExtModuleLaunchKernel-params", "hipModuleLaunchCooperativeKernel-params",
    "hipExtLaunchKernel-params", "hipLaunchCooperativeKernel-params", "hipMemcpy2DAsync-host"};
static int64_t sum, wrong;

/* Launch with arguments on this stack, and overwrite them. */
static void *launch(void *argument) {
    int way = *(int *)argument;
    struct { int64_t *to; int8_t a; int64_t b; Block c; } given = {&sum, 2, 40, {{1, 1, 1, 100}}};
    size_t size = sizeof given;
    void *params[] = {&given.to, &given.a, &given.b, &given.c};
    void *extra[] = {(void *)1, &given, (void *)2, &size, (void *)3};
    int64_t value = 142;
    void **none = NULL, *event = NULL;
    switch (way) {
    case MODULE_BUFFER:
        hipModuleLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, stream, none, extra);
        break;
    case MODULE:
        hipModuleLaunchKernel(add, 1, 1, 1, 1, 1, 1, 0, stream, params, none);
        break;
    case EXT_BUFFER:
        hipExtModuleLaunchKernel(add, 1, 1, 1, 1, 1, 1, (Z)0, stream, none, extra, event, event,
                                 0);
        break;
    case EXT:
        hipExtModuleLaunchKernel(add, 1, 1, 1, 1, 1, 1, (Z)0, stream, params, none, event, event,
                                 0);
        break;
    case COOPERATIVE:
        hipModuleLaunchCooperativeKernel(add, 1, 1, 1, 1, 1, 1, 0, stream, params);
        break;
    case SYMBOL_EXT:
        hipExtLaunchKernel(&add_on_host, one, one, params, (Z)0, stream, event, event, 0);
        break;
    case SYMBOL_COOPERATIVE:
        hipLaunchCooperativeKernel(&add_on_host, one, one, params, 0, stream);
        break;
    case ROWS:
        hipMemcpy2DAsync(&sum, (Z)8, &value, (Z)8, (Z)8, (Z)1, 1, stream);
        break;
    }
    memset(&given, 1, sizeof given);
    given.to = &wrong;
    for (int i = 0; i < 4; i++) params[i] = &wrong;
    extra[1] = &wrong;
    size = 8;
    value = 1;
    __asm__ volatile("" ::"r"(&given), "r"(params), "r"(extra), "r"(&size), "r"(&value) : "memory");
    return NULL;
}

static void lifetime(int rounds, const char *wanted) {
    open_queue();
    for (int way = 0; way < WAYS; way++) {
        int right = 0;
        if (wanted && strcmp(wanted, ways[way])) continue;
        for (int round = 0; round < rounds; round++) {
            pthread_t caller;
            int64_t count = counted();
            sum = 0;
            XQueueSuspend(xq, 0);
            pthread_create(&caller, NULL, launch, &way);
            await_count(count + 1, 100);
            XQueueResume(xq, 0);
            pthread_join(caller, NULL);
            hipStreamSynchronize(stream);
            right += sum == 142;
        }
        printf("%s %d %d\n", ways[way], right, rounds);
        fflush(stdout);
    }
    close_queue();
}

/* --- lookup ----------------------------------------------------------------------------------- */

static void found(const char *name, const char *how, void *function) {
    Dl_info of = {0};
    dladdr(function, &of);
    const char *file = of.dli_fname ? strrchr(of.dli_fname, '/') : NULL;
    printf("%s %s %s\n", name, how, file ? file + 1 : "none");
}

static void lookup(void) {
    const char *const names[] = {"hipModuleLaunchKernel", "hipMemsetAsync", "hipCtxSynchronize"};
    for (int i = 0; i < 3; i++) {
        void *function = NULL;
        found(names[i], "linked", dlsym(RTLD_DEFAULT, names[i]));
        found(names[i], "dlsym", dlsym(runtime, names[i]));
        hipGetProcAddress(names[i], &function, 70200000, 0, NULL);
        found(names[i], "hipGetProcAddress", function);
    }
}

/* --- unqueued --------------------------------------------------------------------------------- */

static void unqueued(void) {
    void *graph;
    int64_t count;
    hipStreamCreateWithFlags(&stream, 1);
    printf("none %d", call_hipExtModuleLaunchKernel());
    hipStreamSynchronize(stream);
    printf(" %d\n", fakeExecutedCount());
    open_queue();
    count = counted();
    hipStreamBeginCapture(stream, 0);
    printf("captured %d", call_hipExtModuleLaunchKernel());
    hipStreamEndCapture(stream, &graph);
    printf(" %d\n", (int)(counted() - count));
    close_queue();
    printf("closed %d", call_hipExtModuleLaunchKernel());
    hipStreamSynchronize(stream);
    printf(" %d\n", fakeExecutedCount());
}

/* --- cost ------------------------------------------------------------------------------------- */

static int shims(void) { return call_hipLaunchKernel(); }
static int buffered(void) { return call_hipExtModuleLaunchKernel(); }
static int pointed(void) {
    static int *to = (int *)buffer, value = 1;
    void *params[] = {&to, &value};
    return hipExtModuleLaunchKernel(store, 1, 1, 1, 1, 1, 1, (Z)0, stream, params, (void **)NULL,
        (void *)NULL, (void *)NULL, 0);
}
static int by_value(void) { return call_hipMemset2DAsync(); }

static double launch_ns(int (*call)(void), int launches) {
    XQueueSuspend(xq, 0);
    double begin = now_ms();
    for (int i = 0; i < launches; i++) call();
    double took = now_ms() - begin;
    XQueueResume(xq, 0);
    hipStreamSynchronize(stream);
    return took * 1e6 / launches;
}

static void cost(int launches) {
    const struct { const char *name; int (*call)(void); } kinds[] = {
        {"shim", shims}, {"buffer", buffered}, {"params", pointed}, {"fill", by_value}};
    double least[4] = {1e9, 1e9, 1e9, 1e9};
    open_queue();
    for (int round = 0; round < 15; round++)
        for (int kind = 0; kind < 4; kind++) {
            double ns = launch_ns(kinds[kind].call, launches);
            if (ns < least[kind]) least[kind] = ns;
        }
    for (int kind = 0; kind < 4; kind++) printf("%s %.0f\n", kinds[kind].name, least[kind]);
    close_queue();
}

/* --- what is left ----------------------------------------------------------------------------- */

static int descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static void print_counts(void) {
    static char text[1 << 14];
    size_t (*counts)(char *, size_t) = dlsym(RTLD_DEFAULT, "companion_counts");
    if (counts) counts(text, sizeof text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        printf("counts %s\n", line);
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    load();
    int before = descriptors();
    if (!strcmp(what, "calls")) calls(arguments + 2);
    else if (!strcmp(what, "lifetime")) lifetime(atoi(arguments[2]), arguments[3]);
    else if (!strcmp(what, "lookup")) lookup();
    else if (!strcmp(what, "unqueued")) unqueued();
    else if (!strcmp(what, "cost")) cost(atoi(arguments[2]));
    else return 2;
    print_counts();
    printf("descriptors %d %d\n", before, descriptors());
    fflush(stdout);
    _exit(0);
}
