/* A test double of XSched's C API (include/xsched/xqueue.h and hint.h, CudaQueue*, HipQueueCreate)
 * with streams to go with it. Written from the headers and the observed behaviour; no code of
 * XSched's. One file stands for libpreempt.so, libhalcuda.so, libhalhip.so and the shims.
 *
 * A stream runs commands of a given length in order, on an executor thread. With a queue on it, at
 * most `threshold` of what was submitted is launched and not yet reaped, whole batches are reaped,
 * and neither is done while the queue is suspended. One lock and one condition serve everything,
 * because commands take about a millisecond. Where XSched ends the process, so does this.
 *
 * -DINERT               as without the shim: every call succeeds, no queue sees anything
 * -DCOUNTS_EVENTS_ONLY  a queue sees event records, but commands go past it
 * -DNEVER_SUSPENDS      a queue sees everything, but a suspension has no effect
 * -DLACKS_SYMBOL        another version, without XHintKDeadline
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SUCCESS = 0, INVALID_VALUE = 2, NOT_FOUND = 3, NOT_ALLOWED = 4, NOT_SUPPORTED = 5 };
enum { BLOCK = 1, DEACTIVATE = 2, INTERRUPT = 3 };
enum { IDLE = 1, READY = 2 };
enum { APP_MANAGED = 1, LOCAL = 2, GLOBAL = 3 };
enum { HPF = 1, SPUP = 6, LAST_POLICY = 11 };
enum { SYNC_HW_QUEUE = 1, WAIT_ALL = 2, WAIT_IDLE = 4 };

#ifdef INERT
enum { COMMANDS_ARE_QUEUED = false, EVENTS_ARE_QUEUED = false };
#elif defined COUNTS_EVENTS_ONLY
enum { COMMANDS_ARE_QUEUED = false, EVENTS_ARE_QUEUED = true };
#else
enum { COMMANDS_ARE_QUEUED = true, EVENTS_ARE_QUEUED = true };
#endif
#ifdef NEVER_SUSPENDS
enum { SUSPENDS = false };
#else
enum { SUSPENDS = true };
#endif

typedef int32_t (*LaunchCallback)(uint64_t hwq, void *data);

typedef struct Command {
    int64_t microseconds;
    bool counts, queued;  /* neither event record nor callback; came through the queue */
    LaunchCallback launch;
    void *data;
    struct Command *next;
} Command;

typedef struct { Command *first, *last; } Fifo;

typedef struct Stream {
    Fifo direct, queued;
    bool running, closing, has_hwq;
    int64_t completed;    /* commands, whichever way they came */
    uint64_t xq;          /* the handle of its queue; 0: it has none */
    int64_t submitted, launched, done, reaped, threshold, batch_size;  /* the queue's, in order */
    int32_t level, state, priority;
    bool suspended, preempted;
    pthread_t executor;
    struct Stream *next;
} Stream;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static Stream *streams;
static Fifo created;      /* commands that have a handle: not yet submitted or launched */
static uint64_t last_xq;
static int32_t scheduler = APP_MANAGED, policy;

static void push(Fifo *fifo, Command *command) {
    command->next = NULL;
    *(fifo->first ? &fifo->last->next : &fifo->first) = command;
    fifo->last = command;
}

static Command *pop(Fifo *fifo) {
    Command *command = fifo->first;
    fifo->first = command->next;
    return command;
}

/* --- what follows from a change: with the lock held ----------------------------------------- */

/* Launch and reap what can be; did anything change? */
static bool pump(Stream *stream) {
    bool any = false;
    while (!stream->suspended) {
        int64_t in_flight = stream->launched - stream->reaped;
        int64_t batch = in_flight < stream->batch_size ? in_flight : stream->batch_size;
        if (stream->launched < stream->submitted && in_flight < stream->threshold)
            stream->launched++;
        else if (batch && stream->done >= stream->reaped + batch)
            stream->reaped += batch;
        else if (stream->state == READY && stream->reaped == stream->submitted)
            stream->state = IDLE;
        else
            break;
        any = true;
    }
    return any;
}

/* Highest priority first: queues below the highest ready priority are suspended. */
static bool reschedule(void) {
    bool any = false;
    int32_t highest = INT32_MIN;
    for (Stream *stream = streams; stream; stream = stream->next)
        if (stream->xq && stream->state == READY && stream->priority > highest)
            highest = stream->priority;
    for (Stream *stream = streams; stream; stream = stream->next) {
        bool preempt = scheduler == LOCAL && policy == HPF && stream->priority < highest;
        if (!stream->xq || preempt == stream->preempted) continue;
        stream->preempted = preempt;
        stream->suspended = preempt && SUSPENDS;
        any = true;
    }
    return any;
}

static void update(void) {
    for (bool any = true; any;) {
        any = reschedule();
        for (Stream *stream = streams; stream; stream = stream->next) any |= pump(stream);
        if (any) pthread_cond_broadcast(&changed);
    }
}

static void wait_for_change(void) {
    update();
    pthread_cond_wait(&changed, &lock);
}

static void acquire(void) { pthread_mutex_lock(&lock); }
static int32_t release(int32_t result) {
    update();
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return result;
}

static void wait_all(Stream *stream) {
    int64_t submitted = stream->submitted;
    while (stream->reaped < submitted) wait_for_change();
}

static void wait_launched(Stream *stream) {
    while (stream->direct.first || stream->running || stream->done < stream->launched)
        wait_for_change();
}

static void submit(Stream *stream, Command *command) {
    command->queued = true;
    push(&stream->queued, command);
    stream->submitted++;
    stream->state = READY;
}

static void end_process(const char *why) {
    fprintf(stderr, "[double] %s\n", why);
    exit(1);
}

/* --- the streams that the tests use --------------------------------------------------------- */

static Command *next_command(Stream *stream) {
    bool held = stream->suspended && stream->level >= DEACTIVATE;
    if (stream->direct.first) return pop(&stream->direct);
    return stream->done < stream->launched && !held ? pop(&stream->queued) : NULL;
}

static void *execute(void *argument) {
    Stream *stream = argument;
    acquire();
    while (true) {
        Command *command = next_command(stream);
        if (!command && stream->closing) break;
        if (!command) { wait_for_change(); continue; }
        struct timespec length = {command->microseconds / 1000000,
                                  command->microseconds % 1000000 * 1000};
        stream->running = true;
        release(SUCCESS);
        nanosleep(&length, NULL);
        if (command->launch && command->launch((uintptr_t)stream, command->data) != SUCCESS)
            end_process("a launch callback failed");
        acquire();
        while (command->queued && stream->suspended && stream->level >= INTERRUPT)
            wait_for_change();
        stream->running = false;
        stream->completed += command->counts;
        stream->done += command->queued;
        free(command);
        update();
        pthread_cond_broadcast(&changed);
    }
    release(SUCCESS);
    return NULL;
}

void *DoubleStreamCreate(void) {
    Stream *stream = calloc(1, sizeof *stream);
    acquire();
    stream->next = streams;
    streams = stream;
    pthread_create(&stream->executor, NULL, execute, stream);
    release(SUCCESS);
    return stream;
}

static void add(Stream *stream, Command command, bool through_queue) {
    Command *copy = malloc(sizeof *copy);
    *copy = command;
    if (stream->xq && through_queue) submit(stream, copy);
    else push(&stream->direct, copy);
}

void DoubleStreamSubmit(Stream *stream, int64_t count, int64_t microseconds) {
    acquire();
    while (count-- > 0)
        add(stream, (Command){.microseconds = microseconds, .counts = true}, COMMANDS_ARE_QUEUED);
    release(SUCCESS);
}

void DoubleRecordEvent(Stream *stream) {
    acquire();
    add(stream, (Command){0}, EVENTS_ARE_QUEUED);
    release(SUCCESS);
}

int64_t DoubleStreamCompleted(Stream *stream) {
    acquire();
    int64_t completed = stream->completed;
    release(SUCCESS);
    return completed;
}

void DoubleStreamSynchronize(Stream *stream) {
    acquire();
    wait_all(stream);
    wait_launched(stream);
    release(SUCCESS);
}

void DoubleStreamDestroy(Stream *stream) {
    Stream **link = &streams;
    acquire();
    while (*link != stream) link = &(*link)->next;
    *link = stream->next;
    stream->closing = true;
    release(SUCCESS);
    pthread_join(stream->executor, NULL);
    free(stream);
}

/* What XSched does not tell: which scheduler there is in the end. */
int32_t DoubleScheduler(void) { return scheduler; }

/* --- hal.h, and the hardware queues and commands of xqueue.h -------------------------------- */

/* A function of the API on the stream that meets a condition: its body, with the lock held. */
#define ON(condition, function, parameters, ...)                        \
    int32_t function parameters {                                       \
        acquire();                                                      \
        Stream *stream = streams;                                       \
        while (stream && !(condition)) stream = stream->next;           \
        if (!stream) return release(NOT_FOUND);                         \
        __VA_ARGS__                                                     \
        return release(SUCCESS);                                        \
    }
#define ON_HWQ(...) ON(stream->has_hwq && (uintptr_t)stream == hwq, __VA_ARGS__)
#define ON_QUEUE(...) ON(stream->xq && stream->xq == xq, __VA_ARGS__)

int32_t CudaQueueCreate(uint64_t *hwq, Stream *stream) {
    if (!stream) return NOT_SUPPORTED;
    acquire();
    wait_launched(stream);
    stream->has_hwq = true;
    *hwq = (uintptr_t)stream;
    return release(SUCCESS);
}
int32_t HipQueueCreate(uint64_t *hwq, Stream *stream) { return CudaQueueCreate(hwq, stream); }
ON(stream == wanted && stream->has_hwq, CudaQueueGet, (uint64_t *hwq, Stream *wanted),
   *hwq = (uintptr_t)wanted;)

ON_HWQ(HwQueueSynchronize, (uint64_t hwq), wait_launched(stream);)
ON_HWQ(HwQueueDestroy, (uint64_t hwq),
    if (stream->xq) return release(NOT_ALLOWED);
    stream->has_hwq = false;
)

int32_t HwCommandCreateCallback(uint64_t *hw_cmd, LaunchCallback launch, void *data) {
    Command *command = malloc(sizeof *command);
    *command = (Command){.launch = launch, .data = data};
    acquire();
    push(&created, command);
    *hw_cmd = (uintptr_t)command;
    return release(SUCCESS);
}

static Command *take_created(uint64_t handle) {
    Fifo others = {0};
    Command *found = NULL;
    while (created.first) {
        Command *command = pop(&created);
        if ((uintptr_t)command == handle) found = command;
        else push(&others, command);
    }
    created = others;
    return found;
}

int32_t HwCommandDestroy(uint64_t hw_cmd) {
    acquire();
    Command *command = take_created(hw_cmd);
    free(command);
    return release(command ? SUCCESS : NOT_FOUND);
}

ON_HWQ(HwQueueLaunch, (uint64_t hwq, uint64_t hw_cmd),
    Command *command = take_created(hw_cmd);
    if (!command) return release(NOT_FOUND);
    release(SUCCESS);
    return command->launch(hwq, command->data);
)

/* --- xqueue.h ------------------------------------------------------------------------------- */

static bool is_level(int64_t level) { return level >= BLOCK && level <= INTERRUPT; }

ON_HWQ(XQueueCreate, (uint64_t *xq, uint64_t hwq, int64_t level, int64_t flags),
    if (!is_level(level)) return release(INVALID_VALUE);
    if (flags) return release(NOT_SUPPORTED);
    if (!stream->xq) {
        stream->xq = ++last_xq;
        stream->submitted = stream->launched = stream->done = stream->reaped = 0;
        stream->threshold = 16;
        stream->batch_size = 8;
        stream->level = (int32_t)level;
        stream->state = IDLE;
        stream->priority = stream->suspended = stream->preempted = 0;
    }
    *xq = stream->xq;
)
ON_HWQ(XQueueGet, (uint64_t *xq, uint64_t hwq),
    if (!stream->xq) return release(NOT_FOUND);
    *xq = stream->xq;
)
ON_QUEUE(XQueueDestroy, (uint64_t xq),
    stream->xq = 0;
    stream->suspended = false;
    wait_all(stream);
)
ON_QUEUE(XQueueSetPreemptLevel, (uint64_t xq, int32_t level),
    if (!is_level(level)) return release(INVALID_VALUE);
    wait_all(stream);
    stream->level = level;
)
ON_QUEUE(XQueueSetLaunchConfig, (uint64_t xq, int64_t threshold, int64_t batch_size),
    if (threshold <= 0 && batch_size <= 0) return release(SUCCESS);
    if (threshold <= 0) threshold = stream->threshold;
    if (batch_size <= 0) batch_size = stream->batch_size;
    if (batch_size > threshold) end_process("batch size above threshold");
    wait_all(stream);
    stream->threshold = threshold;
    stream->batch_size = batch_size;
)
ON_QUEUE(XQueueSubmit, (uint64_t xq, uint64_t hw_cmd),
    Command *command = take_created(hw_cmd);
    if (!command) return release(NOT_FOUND);
    submit(stream, command);
)
/* A submitted command has lost its handle, and another never completes. */
int32_t XQueueWait(uint64_t, uint64_t) { return NOT_FOUND; }
ON_QUEUE(XQueueWaitAll, (uint64_t xq), wait_all(stream);)
ON_QUEUE(XQueueQuery, (uint64_t xq, int32_t *state), *state = stream->state;)
ON_QUEUE(XQueueProfileHwCommandCount, (uint64_t xq, int64_t *count), *count = stream->submitted;)
ON_QUEUE(XQueueSuspend, (uint64_t xq, int64_t flags),
    if (flags & (WAIT_ALL | WAIT_IDLE)) wait_all(stream);
    stream->suspended = SUSPENDS;
    if (flags & SYNC_HW_QUEUE && stream->level == BLOCK) wait_launched(stream);
)
ON_QUEUE(XQueueResume, (uint64_t xq, int64_t flags),
    if (flags) return release(NOT_SUPPORTED);
    stream->suspended = false;
)

/* --- hint.h --------------------------------------------------------------------------------- */

int32_t XHintSetScheduler(int32_t wanted, int32_t wanted_policy) {
    bool valid = wanted_policy >= HPF && wanted_policy <= LAST_POLICY;
    if (wanted < APP_MANAGED || wanted > GLOBAL) return INVALID_VALUE;
    if (wanted == LOCAL && scheduler == LOCAL && !valid) return INVALID_VALUE;
    if (wanted_policy == SPUP) end_process("invalid policy");
    acquire();
    /* A valid policy makes it local, whatever is wanted, and without one it does not get local. */
    scheduler = valid ? LOCAL : wanted == GLOBAL ? GLOBAL : APP_MANAGED;
    policy = wanted_policy;
    for (Stream *stream = streams; stream; stream = stream->next) stream->priority = 0;
    return release(SUCCESS);
}

ON_QUEUE(XHintPriority, (uint64_t xq, int32_t priority),
    if (scheduler == LOCAL) /* else nobody listens */
        stream->priority = priority < -255 ? -255 : priority > 255 ? 255 : priority;
)
/* Hints that HPF has no use for. */
ON_QUEUE(XHintUtilization, (uint64_t xq, int32_t))
ON_QUEUE(XHintDeadline, (uint64_t xq, int64_t))
ON_QUEUE(XHintLaxity, (uint64_t xq, int64_t, int32_t, int32_t))
int32_t XHintTimeslice(int64_t) { return SUCCESS; }
#ifndef LACKS_SYMBOL
int32_t XHintKDeadline(size_t) { return SUCCESS; }
#endif
