/* What XSched's HIP shim lets past its queues, or breaks, goes through them here.
 *
 * The shim (platforms/hip/shim/src/intercept.cpp) queues ordinary launches, 1D fills and some 1D
 * copies. This library is preloaded before it and has the other functions of HIP that put work on a
 * stream. A call on a stream that has a queue becomes a command of that queue, by XSched's public
 * API, so it is in order with all that the shim submits there. Three things can happen to it:
 *
 * queued   the call is copied and returns at once. Arguments of kernels are copied by their sizes:
 *          a buffer (`extra`) has one, pointers have those that hipKernelGetParamInfo tells.
 * held     the caller waits until the queue has made the call for it: where only pointers are given
 *          and no sizes, where the call gives something back, where memory of the host may be
 *          pageable, or an object (a graph, an event) may be changed when the call has returned.
 * passed   it cannot go through one queue. It waits for what was submitted and is made directly.
 *
 * A call on a stream without a queue, or on one that is being captured, is made directly and not
 * counted. Nothing here knows how the runtime looks inside, and no header of HIP is needed: the few
 * types are declared as their binary interface has had them since ROCm 5 (hip_runtime_api.h,
 * hip_ext.h).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* --- types ---------------------------------------------------------------------------------- */

typedef int hipError_t;
typedef void *hipStream_t, *hipEvent_t, *hipFunction_t, *hipGraphExec_t, *hipMemPool_t, *hipArray_t;
typedef void *hipDeviceptr_t;
typedef void (*hipHostFn_t)(void *);
typedef void (*hipStreamCallback_t)(hipStream_t, hipError_t, void *);
typedef struct { unsigned x, y, z; } dim3;
typedef struct { void *ptr; size_t pitch, xsize, ysize; } hipPitchedPtr;
typedef struct { size_t width, height, depth; } hipExtent;
/* hipLaunchConfig_t and HIP_LAUNCH_CONFIG begin alike in size, and have the stream at one place. */
typedef struct { unsigned sizes[8]; hipStream_t stream; } LaunchConfig;
typedef struct {
    void *f;
    dim3 grid, block;
    void **args;
    size_t shared;
    hipStream_t stream;
} hipLaunchParams;
typedef struct {
    void *f;
    unsigned sizes[7];
    hipStream_t stream;
    void **args;
} hipFunctionLaunchParams;

enum { hipSuccess = 0, hipErrorSharedObjectInitFailed = 303 };
enum { DEVICE_TO_DEVICE = 3 };  /* hipMemcpyKind */
#define HIP_LAUNCH_PARAM_BUFFER_POINTER ((void *)1)
#define HIP_LAUNCH_PARAM_BUFFER_SIZE ((void *)2)
#define HIP_LAUNCH_PARAM_END ((void *)3)

/* XSched's (include/xsched/types.h): handles are 64 bits wide, results an enumeration. */
typedef uint64_t Handle;
enum { kXSchedSuccess = 0, kXSchedErrorHardware = 1 };
typedef int (*LaunchCallback)(Handle hwq, void *data);

/* --- the functions that are intercepted ----------------------------------------------------- */

enum { QUEUED, HELD, PASSED, WAYS };

typedef struct {
    const char *name;
    void *ours;
    bool xsched;        /* of XSched, else of the HIP runtime */
    void *theirs;       /* the real one, once it was looked for and found */
    long counts[WAYS];
} Function;

/* The linker gathers these, and names their begin and end. */
#define FUNCTION(name, xsched)                                                         \
    static Function name##_function = {#name, (void *)name, xsched, NULL, {0}};        \
    __attribute__((section("functions"), used))                                        \
    static Function *const name##_listed = &name##_function;
extern Function *const __start_functions[], *const __stop_functions[];

static Function *function_named(const char *name) {
    for (Function *const *each = __start_functions; each < __stop_functions; each++)
        if (!strcmp((*each)->name, name)) return *each;
    return NULL;
}

static void count(Function *function, int way) {
    __atomic_add_fetch(&function->counts[way], 1, __ATOMIC_RELAXED);
}

/* --- the real ones -------------------------------------------------------------------------- */

typedef void *(*DlSym)(void *, const char *);

/* The C library's own: the shim's gives the shim's functions for HIP's names, whatever is asked. */
static void *find_dlsym(void) {
    const char *const libraries[] = {"libc.so.6", "libdl.so.2"};
    const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17"};
    for (int i = 0; i < 6; i++) {
        void *library = dlopen(libraries[i / 3], RTLD_LAZY | RTLD_NOLOAD);
        void *found = library ? dlvsym(library, "dlsym", versions[i % 3]) : NULL;
        if (found) return found;
    }
    fprintf(stderr, "companion: this C library has no dlsym that is known\n");
    abort();
}

static void *real_dlsym(void *handle, const char *name) {
    static void *found;
    if (!found) found = find_dlsym();
    return ((DlSym)found)(handle, name);
}

/* The one HIP runtime of the process: XSCHED_HIP_LIB, which is the shim's too, else what is loaded.
 * Its path names a library that may be loaded by now; opened as the shim does. */
static void *runtime;
static void open_runtime(void) {
    const char *const loaded[] = {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"};
    const char *named = getenv("XSCHED_HIP_LIB");
    if (named && *named) runtime = dlopen(named, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    for (int i = 0; i < 3 && !runtime && !(named && *named); i++)
        runtime = dlopen(loaded[i], RTLD_NOW | RTLD_NOLOAD);
    if (!runtime)
        fprintf(stderr, "companion: no HIP runtime: %s. Name one by XSCHED_HIP_LIB\n",
                named && *named ? dlerror() : "none is loaded");
}

static void *in_runtime(const char *name) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_runtime);
    return runtime ? real_dlsym(runtime, name) : NULL;
}

static void *theirs(Function *function) {
    void *found = __atomic_load_n(&function->theirs, __ATOMIC_ACQUIRE);
    if (found) return found;
    found = function->xsched ? real_dlsym(RTLD_NEXT, function->name) : in_runtime(function->name);
    __atomic_store_n(&function->theirs, found, __ATOMIC_RELEASE);
    return found;
}

/* Programs that look functions up by name get these before the shim's. */
EXPORT void *dlsym(void *handle, const char *name) {
    static void *next;
    Function *function = function_named(name);
    if (function && theirs(function)) return function->ours;
    if (!next) next = real_dlsym(RTLD_NEXT, "dlsym");
    return ((DlSym)next)(handle, name);
}

/* --- which stream has a queue: told by XSched's own functions ------------------------------- */

enum { QUEUES = 4096 };
static struct { hipStream_t stream; Handle hwq, xq; } queues[QUEUES];
static int queues_used;
static pthread_rwlock_t queues_lock = PTHREAD_RWLOCK_INITIALIZER;

static Handle queue_of(hipStream_t stream) {
    Handle found = 0;
    pthread_rwlock_rdlock(&queues_lock);
    for (int i = 0; i < queues_used && !found; i++)
        if (queues[i].stream == stream) found = queues[i].xq;
    pthread_rwlock_unlock(&queues_lock);
    return found;
}

EXPORT int HipQueueCreate(Handle *hwq, hipStream_t stream);
EXPORT int XQueueCreate(Handle *xq, Handle hwq, int64_t level, int64_t flags);
EXPORT int XQueueDestroy(Handle xq);
FUNCTION(HipQueueCreate, true)
FUNCTION(XQueueCreate, true)
FUNCTION(XQueueDestroy, true)
#define THEIRS(name, ...) ((typeof(&name))theirs(&name##_function))(__VA_ARGS__)

int HipQueueCreate(Handle *hwq, hipStream_t stream) {
    int result = THEIRS(HipQueueCreate, hwq, stream);
    if (result != kXSchedSuccess) return result;
    int at = 0;
    pthread_rwlock_wrlock(&queues_lock);
    while (at < queues_used && queues[at].stream != stream) at++;
    if (at == QUEUES) { fprintf(stderr, "companion: too many queues\n"); abort(); }
    if (at == queues_used) queues_used++;
    queues[at].stream = stream;
    queues[at].hwq = *hwq;
    pthread_rwlock_unlock(&queues_lock);
    return result;
}

/* `to` is the queue of what has the handle `of` at `member`. */
#define SET_QUEUE(member, of, to)                                   \
    pthread_rwlock_wrlock(&queues_lock);                            \
    for (int i = 0; i < queues_used; i++)                           \
        if (queues[i].member == (of)) queues[i].xq = (to);          \
    pthread_rwlock_unlock(&queues_lock)

int XQueueCreate(Handle *xq, Handle hwq, int64_t level, int64_t flags) {
    int result = THEIRS(XQueueCreate, xq, hwq, level, flags);
    if (result == kXSchedSuccess) { SET_QUEUE(hwq, hwq, *xq); }
    return result;
}

int XQueueDestroy(Handle xq) {
    SET_QUEUE(xq, xq, 0);  /* before: what is submitted to a queue that ends is lost */
    return THEIRS(XQueueDestroy, xq);
}

static bool is_captured(hipStream_t stream) {
    static hipError_t (*ask)(hipStream_t, int *);
    int status = 0;
    if (!ask) ask = in_runtime("hipStreamIsCapturing");
    return ask && ask(stream, &status) == hipSuccess && status != 0;
}

/* --- a call as a command -------------------------------------------------------------------- */

typedef struct Call {
    Function *function;
    hipError_t (*make)(struct Call *);
    bool held, made;    /* held: on the stack of the caller, who waits until it was made */
    hipError_t result;
} Call;

/* Where a call has a kernel's arguments; each NULL where it has none. */
typedef struct {
    const void *kernel;
    bool by_symbol;     /* the kernel is named by its host function */
    void ***params, ***extra;
} Arguments;

/* What the runtime itself calls while it makes a call is part of that call. */
static __thread bool making;

static pthread_mutex_t made_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t made = PTHREAD_COND_INITIALIZER;

/* On the launch thread of the queue, in its order. A failure that nobody waits for ends the
 * process, as one of the shim's own commands does. */
static int make(Handle hwq, void *data) {
    Call *call = data;
    making = true;
    hipError_t result = call->make(call);
    making = false;
    (void)hwq;
    if (call->held) {
        pthread_mutex_lock(&made_lock);
        call->result = result;
        call->made = true;
        pthread_cond_broadcast(&made);
        pthread_mutex_unlock(&made_lock);
        return kXSchedSuccess;
    }
    if (result != hipSuccess)
        fprintf(stderr, "companion: %s failed with HIP error %d\n", call->function->name, result);
    free(call);
    return result == hipSuccess ? kXSchedSuccess : kXSchedErrorHardware;
}

static bool submit(Handle queue, Call *call) {
    static int (*create)(Handle *, LaunchCallback, void *);
    static int (*add)(Handle, Handle), (*destroy)(Handle);
    Handle command;
    if (!add) {
        create = real_dlsym(RTLD_NEXT, "HwCommandCreateCallback");
        destroy = real_dlsym(RTLD_NEXT, "HwCommandDestroy");
        add = real_dlsym(RTLD_NEXT, "XQueueSubmit");
    }
    if (create(&command, make, call) != kXSchedSuccess) return false;
    if (add(queue, command) == kXSchedSuccess) return true;
    destroy(command);
    return false;
}

enum { MOST_PARAMS = 256 };
typedef struct { size_t at, size; } Param;

/* The layout of a kernel's parameters, by the public functions that later runtimes have; -1 where
 * it is not told. bytes: of all of them. */
static int layout_of(const Arguments *arguments, Param params[], size_t *bytes) {
    static hipError_t (*info)(const void *, size_t, size_t *, size_t *);
    static hipError_t (*by_symbol)(hipFunction_t *, const void *);
    hipFunction_t function = (hipFunction_t)arguments->kernel;
    int found = 0;
    if (!info) info = in_runtime("hipKernelGetParamInfo");
    if (!by_symbol) by_symbol = in_runtime("hipGetFuncBySymbol");
    if (!info || (arguments->by_symbol && !by_symbol)) return -1;
    if (arguments->by_symbol && by_symbol(&function, arguments->kernel) != hipSuccess) return -1;
    *bytes = 0;
    for (; found < MOST_PARAMS; found++) {
        Param *param = &params[found];
        if (info(function, found, &param->at, &param->size) != hipSuccess) break;
        if (param->at + param->size > *bytes) *bytes = param->at + param->size;
    }
    return found && found < MOST_PARAMS ? found : -1;
}

/* The buffer that `extra` names, false if it has anything else. */
static bool buffer_of(void **extra, void **buffer, size_t *bytes) {
    for (; *extra != HIP_LAUNCH_PARAM_END; extra += 2) {
        if (*extra == HIP_LAUNCH_PARAM_BUFFER_POINTER) *buffer = extra[1];
        else if (*extra == HIP_LAUNCH_PARAM_BUFFER_SIZE) *bytes = *(size_t *)extra[1];
        else return false;
    }
    return true;
}

static size_t aligned(size_t bytes) { return (bytes + 15) & ~(size_t)15; }

/* A copy of a call with the arguments of its kernel behind it, NULL where their size is unknown. */
static Call *copy_of(const Call *call, size_t size, const Arguments *arguments) {
    void **params = arguments->params ? *arguments->params : NULL;
    void **extra = arguments->extra ? *arguments->extra : NULL;
    Param layout[MOST_PARAMS];
    void *buffer = NULL;
    size_t bytes = 0;
    int count = 0;
    if (params && extra) return NULL;  /* an error, which the caller is to be told */
    if (extra && !buffer_of(extra, &buffer, &bytes)) return NULL;
    if (params && (count = layout_of(arguments, layout, &bytes)) < 0) return NULL;

    size_t pointers = extra ? 6 : count;
    char *copy = malloc(aligned(size) + aligned(pointers * sizeof(void *)) + bytes);
    void **new = (void **)(copy + aligned(size));
    char *values = (char *)new + aligned(pointers * sizeof(void *));
    memcpy(copy, call, size);
    if (extra) {
        void *named[] = {HIP_LAUNCH_PARAM_BUFFER_POINTER, values,
                         HIP_LAUNCH_PARAM_BUFFER_SIZE, &new[5], HIP_LAUNCH_PARAM_END};
        memcpy(new, named, sizeof named);
        new[5] = (void *)bytes;
        memcpy(values, buffer, bytes);
        *(void ***)(copy + ((char *)arguments->extra - (char *)call)) = new;
    } else if (params) {
        for (int i = 0; i < count; i++)
            new[i] = memcpy(values + layout[i].at, params[i], layout[i].size);
        *(void ***)(copy + ((char *)arguments->params - (char *)call)) = new;
    }
    return (Call *)copy;
}

static hipError_t run(Call *call, size_t size, hipStream_t stream, bool hold, Arguments arguments) {
    if (!theirs(call->function)) return hipErrorSharedObjectInitFailed;
    Handle queue = making ? 0 : queue_of(stream);
    if (!queue || is_captured(stream)) return call->make(call);
    Call *copy = hold ? NULL : copy_of(call, size, &arguments);
    call->held = !copy;
    if (!submit(queue, copy ? copy : call)) {
        free(copy);
        count(call->function, PASSED);
        return call->make(call);
    }
    count(call->function, copy ? QUEUED : HELD);
    if (copy) return hipSuccess;
    pthread_mutex_lock(&made_lock);
    while (!call->made) pthread_cond_wait(&made, &made_lock);
    pthread_mutex_unlock(&made_lock);
    return call->result;
}

/* --- the functions -------------------------------------------------------------------------- */

/* EACH(M, (a, b), (c, d)) is M(a, b) M(c, d), for up to some eighty pairs. */
#define EXPAND(...) EXPAND3(EXPAND3(EXPAND3(EXPAND3(__VA_ARGS__))))
#define EXPAND3(...) EXPAND2(EXPAND2(EXPAND2(EXPAND2(__VA_ARGS__))))
#define EXPAND2(...) EXPAND1(EXPAND1(EXPAND1(EXPAND1(__VA_ARGS__))))
#define EXPAND1(...) __VA_ARGS__
#define NOTHING_YET ()
#define EACH(M, ...) EXPAND(EACH_OF(M, __VA_ARGS__))
#define EACH_OF(M, pair, ...) M pair __VA_OPT__(EACH_AGAIN NOTHING_YET (M, __VA_ARGS__))
#define EACH_AGAIN() EACH_OF

#define AS_FIELD(type, name) type name;
#define AS_PARAMETER(type, name) , type name
#define AS_ARGUMENT(type, name) , name
#define AS_SAVED(type, name) , saved->name
/* A list with a comma before each item, without the first one. */
#define LIST(M, ...) REST(EACH(M, __VA_ARGS__))
#define REST(...) REST_OF(__VA_ARGS__)
#define REST_OF(nothing, ...) __VA_ARGS__

/* name: of HIP's function, with its parameters. stream: where it puts its work. hold: whether its
 * caller must wait in any case. arguments: of a kernel. */
#define INTERCEPT(name, stream, hold, arguments, ...)                                           \
    EXPORT hipError_t name(LIST(AS_PARAMETER, __VA_ARGS__));                                    \
    FUNCTION(name, false)                                                                       \
    typedef struct { Call call; EACH(AS_FIELD, __VA_ARGS__) } name##_call;                      \
    static hipError_t name##_make(Call *call) {                                                 \
        name##_call *saved = (name##_call *)call;                                               \
        return THEIRS(name, LIST(AS_SAVED, __VA_ARGS__));                                       \
    }                                                                                           \
    hipError_t name(LIST(AS_PARAMETER, __VA_ARGS__)) {                                          \
        name##_call here = {{&name##_function, name##_make, false, false, hipSuccess}           \
                            EACH(AS_ARGUMENT, __VA_ARGS__)};                                    \
        return run(&here.call, sizeof here, stream, hold, arguments);                           \
    }
#define NO_ARGUMENTS ((Arguments){0})
#define OF_FUNCTION(f, params, extra) ((Arguments){f, false, params, extra})
#define OF_SYMBOL(f, params) ((Arguments){f, true, params, NULL})

/* Kernels. An event of a launch is recorded by the launch itself: who asks for it must find it. */
INTERCEPT(hipModuleLaunchKernel, stream, false,
          OF_FUNCTION(f, &here.kernelParams, &here.extra),
          (hipFunction_t, f), (unsigned, gridX), (unsigned, gridY), (unsigned, gridZ),
          (unsigned, blockX), (unsigned, blockY), (unsigned, blockZ), (unsigned, shared),
          (hipStream_t, stream), (void **, kernelParams), (void **, extra))
INTERCEPT(hipExtModuleLaunchKernel, stream, startEvent || stopEvent,
          OF_FUNCTION(f, &here.kernelParams, &here.extra),
          (hipFunction_t, f), (uint32_t, globalX), (uint32_t, globalY), (uint32_t, globalZ),
          (uint32_t, localX), (uint32_t, localY), (uint32_t, localZ), (size_t, shared),
          (hipStream_t, stream), (void **, kernelParams), (void **, extra),
          (hipEvent_t, startEvent), (hipEvent_t, stopEvent), (uint32_t, flags))
INTERCEPT(hipHccModuleLaunchKernel, stream, startEvent || stopEvent,
          OF_FUNCTION(f, &here.kernelParams, &here.extra),
          (hipFunction_t, f), (uint32_t, globalX), (uint32_t, globalY), (uint32_t, globalZ),
          (uint32_t, localX), (uint32_t, localY), (uint32_t, localZ), (size_t, shared),
          (hipStream_t, stream), (void **, kernelParams), (void **, extra),
          (hipEvent_t, startEvent), (hipEvent_t, stopEvent))
INTERCEPT(hipExtLaunchKernel, stream, startEvent || stopEvent, OF_SYMBOL(f, &here.args),
          (const void *, f), (dim3, grid), (dim3, block), (void **, args), (size_t, shared),
          (hipStream_t, stream), (hipEvent_t, startEvent), (hipEvent_t, stopEvent), (int, flags))
INTERCEPT(hipLaunchCooperativeKernel, stream, false, OF_SYMBOL(f, &here.args),
          (const void *, f), (dim3, grid), (dim3, block), (void **, args), (unsigned, shared),
          (hipStream_t, stream))
INTERCEPT(hipModuleLaunchCooperativeKernel, stream, false,
          OF_FUNCTION(f, &here.kernelParams, NULL),
          (hipFunction_t, f), (unsigned, gridX), (unsigned, gridY), (unsigned, gridZ),
          (unsigned, blockX), (unsigned, blockY), (unsigned, blockZ), (unsigned, shared),
          (hipStream_t, stream), (void **, kernelParams))
INTERCEPT(hipLaunchKernelExC, config->stream, true, NO_ARGUMENTS,
          (const LaunchConfig *, config), (const void *, f), (void **, args))
INTERCEPT(hipDrvLaunchKernelEx, config->stream, true, NO_ARGUMENTS,
          (const LaunchConfig *, config), (hipFunction_t, f), (void **, params), (void **, extra))

/* Graphs may be changed and destroyed as soon as the launch has returned. */
INTERCEPT(hipGraphLaunch, stream, true, NO_ARGUMENTS,
          (hipGraphExec_t, exec), (hipStream_t, stream))
INTERCEPT(hipGraphUpload, stream, true, NO_ARGUMENTS,
          (hipGraphExec_t, exec), (hipStream_t, stream))

/* Functions of the host. */
INTERCEPT(hipLaunchHostFunc, stream, false, NO_ARGUMENTS,
          (hipStream_t, stream), (hipHostFn_t, function), (void *, data))
INTERCEPT(hipStreamAddCallback, stream, false, NO_ARGUMENTS,
          (hipStream_t, stream), (hipStreamCallback_t, function), (void *, data), (unsigned, flags))

/* Fills. */
INTERCEPT(hipMemset2DAsync, stream, false, NO_ARGUMENTS,
          (void *, to), (size_t, pitch), (int, value), (size_t, width), (size_t, height),
          (hipStream_t, stream))
INTERCEPT(hipMemset3DAsync, stream, false, NO_ARGUMENTS,
          (hipPitchedPtr, to), (int, value), (hipExtent, extent), (hipStream_t, stream))

/* Copies. Pageable memory of the host is read or written before the call returns. */
INTERCEPT(hipMemcpy2DAsync, stream, kind != DEVICE_TO_DEVICE, NO_ARGUMENTS,
          (void *, to), (size_t, toPitch), (const void *, from), (size_t, fromPitch),
          (size_t, width), (size_t, height), (int, kind), (hipStream_t, stream))
INTERCEPT(hipMemcpy2DToArrayAsync, stream, kind != DEVICE_TO_DEVICE, NO_ARGUMENTS,
          (hipArray_t, to), (size_t, x), (size_t, y), (const void *, from), (size_t, pitch),
          (size_t, width), (size_t, height), (int, kind), (hipStream_t, stream))
INTERCEPT(hipMemcpy2DFromArrayAsync, stream, kind != DEVICE_TO_DEVICE, NO_ARGUMENTS,
          (void *, to), (size_t, pitch), (const void *, from), (size_t, x), (size_t, y),
          (size_t, width), (size_t, height), (int, kind), (hipStream_t, stream))
INTERCEPT(hipMemcpyParam2DAsync, stream, true, NO_ARGUMENTS,
          (const void *, copy), (hipStream_t, stream))
INTERCEPT(hipMemcpy3DAsync, stream, true, NO_ARGUMENTS,
          (const void *, copy), (hipStream_t, stream))
INTERCEPT(hipDrvMemcpy3DAsync, stream, true, NO_ARGUMENTS,
          (const void *, copy), (hipStream_t, stream))
INTERCEPT(hipMemcpyAtoHAsync, stream, true, NO_ARGUMENTS,
          (void *, to), (hipArray_t, from), (size_t, at), (size_t, bytes), (hipStream_t, stream))
INTERCEPT(hipMemcpyHtoAAsync, stream, true, NO_ARGUMENTS,
          (hipArray_t, to), (size_t, at), (const void *, from), (size_t, bytes),
          (hipStream_t, stream))
INTERCEPT(hipMemcpyToSymbolAsync, stream, kind != DEVICE_TO_DEVICE, NO_ARGUMENTS,
          (const void *, symbol), (const void *, from), (size_t, bytes), (size_t, at), (int, kind),
          (hipStream_t, stream))
INTERCEPT(hipMemcpyFromSymbolAsync, stream, kind != DEVICE_TO_DEVICE, NO_ARGUMENTS,
          (void *, to), (const void *, symbol), (size_t, bytes), (size_t, at), (int, kind),
          (hipStream_t, stream))
INTERCEPT(hipMemcpyPeerAsync, stream, false, NO_ARGUMENTS,
          (void *, to), (int, toDevice), (const void *, from), (int, fromDevice), (size_t, bytes),
          (hipStream_t, stream))

/* Memory that is allocated and freed in order. */
INTERCEPT(hipMallocAsync, stream, true, NO_ARGUMENTS,
          (void **, pointer), (size_t, bytes), (hipStream_t, stream))
INTERCEPT(hipMallocFromPoolAsync, stream, true, NO_ARGUMENTS,
          (void **, pointer), (size_t, bytes), (hipMemPool_t, pool), (hipStream_t, stream))
INTERCEPT(hipFreeAsync, stream, false, NO_ARGUMENTS,
          (void *, pointer), (hipStream_t, stream))
INTERCEPT(hipMemPrefetchAsync, stream, false, NO_ARGUMENTS,
          (const void *, pointer), (size_t, bytes), (int, device), (hipStream_t, stream))
INTERCEPT(hipStreamAttachMemAsync, stream, false, NO_ARGUMENTS,
          (hipStream_t, stream), (void *, pointer), (size_t, bytes), (unsigned, flags))
INTERCEPT(hipMemMapArrayAsync, stream, true, NO_ARGUMENTS,
          (void *, maps), (unsigned, count), (hipStream_t, stream))

/* Values and semaphores. */
INTERCEPT(hipStreamWaitValue32, stream, false, NO_ARGUMENTS,
          (hipStream_t, stream), (void *, at), (uint32_t, value), (unsigned, flags),
          (uint32_t, mask))
INTERCEPT(hipStreamWaitValue64, stream, false, NO_ARGUMENTS,
          (hipStream_t, stream), (void *, at), (uint64_t, value), (unsigned, flags),
          (uint64_t, mask))
INTERCEPT(hipStreamWriteValue32, stream, false, NO_ARGUMENTS,
          (hipStream_t, stream), (void *, at), (uint32_t, value), (unsigned, flags))
INTERCEPT(hipStreamWriteValue64, stream, false, NO_ARGUMENTS,
          (hipStream_t, stream), (void *, at), (uint64_t, value), (unsigned, flags))
INTERCEPT(hipStreamBatchMemOp, stream, true, NO_ARGUMENTS,
          (hipStream_t, stream), (unsigned, count), (void *, operations), (unsigned, flags))
INTERCEPT(hipSignalExternalSemaphoresAsync, stream, true, NO_ARGUMENTS,
          (const void *, semaphores), (const void *, params), (unsigned, count),
          (hipStream_t, stream))
INTERCEPT(hipWaitExternalSemaphoresAsync, stream, true, NO_ARGUMENTS,
          (const void *, semaphores), (const void *, params), (unsigned, count),
          (hipStream_t, stream))

/* Launches on several devices have a stream on each: no single queue has them. */
static bool drained(hipStream_t stream) {
    static int (*wait)(Handle);
    Handle queue = queue_of(stream);
    if (!wait) wait = real_dlsym(RTLD_NEXT, "XQueueWaitAll");
    if (queue) wait(queue);
    return queue;
}

#define PASS(name, type)                                                                        \
    EXPORT hipError_t name(type *list, unsigned devices, unsigned flags);                       \
    FUNCTION(name, false)                                                                       \
    hipError_t name(type *list, unsigned devices, unsigned flags) {                             \
        bool passed = false;                                                                    \
        if (!theirs(&name##_function)) return hipErrorSharedObjectInitFailed;                   \
        for (unsigned i = 0; i < devices; i++) passed |= drained(list[i].stream);               \
        if (passed) count(&name##_function, PASSED);                                            \
        return THEIRS(name, list, devices, flags);                                              \
    }
PASS(hipLaunchCooperativeKernelMultiDevice, hipLaunchParams)
PASS(hipExtLaunchMultiKernelMultiDevice, hipLaunchParams)
PASS(hipModuleLaunchCooperativeKernelMultiDevice, hipFunctionLaunchParams)

/* The runtime gives its own functions away: in place of those that are intercepted, here or by the
 * shim, it gives these. */
static hipError_t instead(hipError_t result, const char *symbol, void **function) {
    if (result != hipSuccess || !*function) return result;
    Function *ours = function_named(symbol);
    void *next = ours ? ours->ours : real_dlsym(RTLD_NEXT, symbol);
    Dl_info of;
    if (ours || (next && dladdr(next, &of) && strstr(of.dli_fname, "libshimhip"))) *function = next;
    return result;
}

EXPORT hipError_t hipGetProcAddress(const char *symbol, void **function, int version,
                                    uint64_t flags, void *status);
EXPORT hipError_t hipGetDriverEntryPoint(const char *symbol, void **function, uint64_t flags,
                                         void *status);
FUNCTION(hipGetProcAddress, false)
FUNCTION(hipGetDriverEntryPoint, false)

hipError_t hipGetProcAddress(const char *symbol, void **function, int version, uint64_t flags,
                             void *status) {
    if (!theirs(&hipGetProcAddress_function)) return hipErrorSharedObjectInitFailed;
    return instead(THEIRS(hipGetProcAddress, symbol, function, version, flags, status), symbol,
                   function);
}

hipError_t hipGetDriverEntryPoint(const char *symbol, void **function, uint64_t flags,
                                  void *status) {
    if (!theirs(&hipGetDriverEntryPoint_function)) return hipErrorSharedObjectInitFailed;
    return instead(THEIRS(hipGetDriverEntryPoint, symbol, function, flags, status), symbol,
                   function);
}

/* --- what became of the calls ---------------------------------------------------------------- */

/* Lines "name queued held passed" of the functions that were called, cut to `size` bytes; returns
 * the bytes of all of them. */
EXPORT size_t companion_counts(char *text, size_t size) {
    size_t used = 0;
    for (Function *const *each = __start_functions; each < __stop_functions; each++) {
        const long *counts = (*each)->counts;
        if (!(counts[QUEUED] || counts[HELD] || counts[PASSED])) continue;
        used += snprintf(used < size ? text + used : NULL, used < size ? size - used : 0,
                         "%s %ld %ld %ld\n", (*each)->name, counts[QUEUED], counts[HELD],
                         counts[PASSED]);
    }
    return used;
}
