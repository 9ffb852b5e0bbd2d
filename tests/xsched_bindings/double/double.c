/* A test double of XSched's C API (include/xsched/xqueue.h and hint.h, CudaQueue*, HipQueueCreate)
 * with streams to go with it. Written from the headers and the observed behaviour; no code of
 * XSched's. One file stands for libpreempt.so, libhalcuda.so, libhalhip.so and the shims.
 *
 * A stream runs commands of a given length in order, on an executor thread. With a queue on it, at
 * most `threshold` of what was submitted is launched and not yet reaped, whole batches are reaped,
 * and neither is done while the queue is suspended. One lock and one condition serve everything,
 * because commands take about a millisecond. Where XSched ends the process, so does this. The local
 * scheduler knows the policies HPF, UP, KEDF and LAX; under others everything runs.
 *
 * A command may leave a mark when it completes: the time, and a value that it was given.
 *
 * It also plays adversaries, one at a time, from when DoubleMisbehave names it (`names`). Three can
 * be built in:
 *
 * -DINERT               inert
 * -DCOUNTS_EVENTS_ONLY  events-only
 * -DNEVER_SUSPENDS      counts-only
 *
 * -DLACKS_SYMBOL        is another version, without XHintKDeadline
 */
#define _GNU_SOURCE  /* pthread_cond_clockwait */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, INVALID_VALUE = 2, NOT_FOUND = 3, NOT_ALLOWED = 4, NOT_SUPPORTED = 5 };
enum { BLOCK = 1, DEACTIVATE = 2, INTERRUPT = 3 };
enum { IDLE = 1, READY = 2 };
enum { APP_MANAGED = 1, LOCAL = 2, GLOBAL = 3 };
enum { HPF = 1, UP = 4, SPUP = 6, KEDF = 7, LAX = 8, LAST_POLICY = 11 };
enum { SYNC_HW_QUEUE = 1, WAIT_ALL = 2, WAIT_IDLE = 4 };
enum { TIMESLICE_MIN_US = 100, TIMESLICE_MAX_US = 10000000 };

enum {
    HONEST,
    NO_SHIM,          /* as without the shim: every call succeeds, no queue sees anything */
    EVENTS_ONLY,      /* a queue sees event records, but commands go past it */
    COUNTS_ONLY,      /* a queue sees everything, but a suspension has no effect */
    FIRST_QUEUE,      /* only the oldest queue that there is can be suspended */
    ALL_BUT_LAST,     /* only the newest cannot */
    TIGHTER,          /* threshold and batch size are a quarter of what was asked */
    LOWER_LEVEL,      /* a level below what was asked */
    HIGHER_LEVEL,
    EVERY_SECOND,     /* every second suspension of a queue has no effect */
    PAST_QUEUE,       /* one command in twenty is executed at once and not counted */
    LOST_HINT,        /* the oldest queue's hints are not heard */
    INVERTED_HINTS,   /* the least urgent is taken for the most urgent */
    LATE,             /* what the policy decides happens 50 ms later */
    ADVERSARIES
};
static const char *const names[ADVERSARIES] = {
    "honest", "inert", "events-only", "counts-only", "first-queue", "all-but-last", "tighter",
    "lower-level", "higher-level", "every-second", "past-queue", "lost-hint", "inverted-hints", "late",
};
#ifdef INERT
static int adversary = NO_SHIM;
#elif defined COUNTS_EVENTS_ONLY
static int adversary = EVENTS_ONLY;
#elif defined NEVER_SUSPENDS
static int adversary = COUNTS_ONLY;
#else
static int adversary = HONEST;
#endif

/* Of so many commands that are submitted at once one goes past the queue: not the last of any
 * part, for the marks are where they should be. */
enum { PAST_OF = 20, PAST_AT = 10 };
static const int64_t LATE_NS = 50000000;
static const int64_t NEVER = INT64_MAX;

typedef int32_t (*LaunchCallback)(uint64_t hwq, void *data);

enum { RING_SIZE = 1 << 16 };

/* The last marks of one task, which several streams or tasks of one stream never share. */
typedef struct Ring {
    int64_t count;
    int64_t ticks[RING_SIZE];  /* CLOCK_MONOTONIC, ns */
    double values[RING_SIZE];
} Ring;

typedef struct Command {
    int64_t microseconds;
    bool counts, queued;  /* neither event record nor callback; came through the queue */
    LaunchCallback launch;
    void *data;
    Ring *ring;           /* where it leaves a mark, or NULL */
    double value;
    struct Command *next;
} Command;

typedef struct { Command *first, *last; } Fifo;

typedef struct {
    int32_t priority, utilization;  /* utilization 0: none */
    int64_t deadline_ns, laxity_ns;
    int32_t lax, critical;
} Hints;

/* A queue without a deadline comes after all that have one, by time of arrival. */
static const int64_t NO_DEADLINE = 1LL << 61;
static const Hints NO_HINTS = {.deadline_ns = NO_DEADLINE};

enum { DECISIONS = 1024 };

typedef struct { int64_t at_ns; bool suspend; } Decision;

typedef struct Stream {
    Fifo direct, queued;
    bool running, closing, has_hwq;
    int64_t completed;    /* commands, whichever way they came */
    uint64_t xq;          /* the handle of its queue; 0: it has none */
    int64_t submitted, launched, done, reaped, threshold, batch_size;  /* the queue's, in order */
    int32_t level, state;
    int64_t ready_ns;     /* since when it has had work */
    Hints hints;
    bool suspended, preempted;  /* preempted: what the policy wants */
    int64_t suspensions;
    Decision decisions[DECISIONS];  /* of adversary LATE, a ring */
    int64_t decided, enacted;
    void *hip;            /* the stream of a HIP runtime that it stands in for, or NULL */
    pthread_t executor;
    struct Stream *next;
} Stream;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static Stream *streams;
static Fifo created;      /* commands that have a handle: not yet submitted or launched */
static uint64_t last_xq;
static int32_t scheduler = APP_MANAGED, policy;
static int64_t k_deadline = 1, timeslice_ns = 5000000;
static uint64_t turn;     /* UP: the queue that runs */
static int64_t turn_ends_ns;
static int64_t wake_ns;   /* when to look again without an event */

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

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

static void end_process(const char *why) {
    fprintf(stderr, "[double] %s\n", why);
    exit(1);
}

/* --- what adversaries make of it: with the lock held ----------------------------------------- */

static bool is_oldest(const Stream *stream) {
    for (Stream *other = streams; other; other = other->next)
        if (other->xq && other->xq < stream->xq) return false;
    return true;
}

static bool is_newest(const Stream *stream) { return stream->xq == last_xq; }

static Hints heard(const Stream *stream) {
    Hints hints = stream->hints;
    if (adversary == LOST_HINT && is_oldest(stream)) return NO_HINTS;
    if (adversary == INVERTED_HINTS) {
        hints.priority = -hints.priority;
        hints.lax = -hints.lax;
        hints.critical = -hints.critical;
        hints.deadline_ns = -hints.deadline_ns;
        if (hints.utilization) hints.utilization = 100 - hints.utilization;
    }
    return hints;
}

static int32_t level_of(const Stream *stream) {
    if (adversary == LOWER_LEVEL && stream->level > BLOCK) return stream->level - 1;
    if (adversary == HIGHER_LEVEL && stream->level < INTERRUPT) return stream->level + 1;
    return stream->level;
}

static int64_t in_effect(int64_t configured) {
    return adversary == TIGHTER && configured >= 4 ? configured / 4 : configured;
}

static void suspend(Stream *stream, bool wanted) {
    stream->suspensions += wanted;
    bool ignored = adversary == NO_SHIM || adversary == EVENTS_ONLY || adversary == COUNTS_ONLY ||
                   (adversary == FIRST_QUEUE && !is_oldest(stream)) ||
                   (adversary == ALL_BUT_LAST && is_newest(stream)) ||
                   (adversary == EVERY_SECOND && stream->suspensions % 2 == 0);
    stream->suspended = wanted && !ignored;
}

static bool goes_past(int64_t index) {
    return adversary == NO_SHIM || adversary == EVENTS_ONLY ||
           (adversary == PAST_QUEUE && index % PAST_OF == PAST_AT);
}

/* --- what follows from a change: with the lock held ----------------------------------------- */

/* Launch and reap what can be; did anything change? */
static bool pump(Stream *stream) {
    bool any = false;
    while (!stream->suspended) {
        int64_t in_flight = stream->launched - stream->reaped;
        int64_t batch = in_effect(stream->batch_size);
        if (batch > in_flight) batch = in_flight;
        if (stream->launched < stream->submitted && in_flight < in_effect(stream->threshold))
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

static void wake_at(int64_t at_ns) {
    if (at_ns < wake_ns) wake_ns = at_ns;
}

/* HPF, and LAX: the critical priority from when it has been ready for its laxity. */
static int32_t priority_of(const Stream *stream, int64_t now) {
    Hints hints = heard(stream);
    if (policy == HPF) return hints.priority;
    if (stream->state != READY) return hints.lax;
    int64_t critical_ns = stream->ready_ns + hints.laxity_ns;
    if (now >= critical_ns) return hints.critical;
    wake_at(critical_ns);
    return hints.lax;
}

static bool highest_priority(const Stream *stream, int64_t now) {
    int32_t priority = priority_of(stream, now);
    for (Stream *other = streams; other; other = other->next)
        if (other->xq && other->state == READY && priority_of(other, now) > priority) return false;
    return true;
}

static bool is_earlier(const Stream *stream, const Stream *than) {
    int64_t at = stream->state == READY ? stream->ready_ns + heard(stream).deadline_ns : NEVER;
    int64_t other = than->state == READY ? than->ready_ns + heard(than).deadline_ns : NEVER;
    if (at != other) return at < other;
    return stream->ready_ns != than->ready_ns ? stream->ready_ns < than->ready_ns
                                              : stream->xq < than->xq;
}

static bool among_k_earliest(const Stream *stream) {
    int64_t before = 0;
    for (Stream *other = streams; other; other = other->next)
        before += other->xq && is_earlier(other, stream);
    return before < k_deadline;
}

/* UP: queues with a utilization take turns in the order of handles; without any, all run. */
static bool has_turn(const Stream *stream, int64_t now) {
    int64_t total = 0, share = 0;
    uint64_t next = 0;
    bool runs_on = false;
    for (Stream *other = streams; other; other = other->next) {
        int64_t utilization = other->xq ? heard(other).utilization : 0;
        total += utilization;
        if (!utilization || other->state != READY) continue;
        runs_on |= other->xq == turn && now < turn_ends_ns;
        /* Unsigned, so handles after the last turn's come first, and that one itself last. */
        if (next && other->xq - turn - 1 >= next - turn - 1) continue;
        next = other->xq;
        share = utilization;
    }
    if (!runs_on && next) {
        turn = next;
        int64_t slice_ns = timeslice_ns * share / total;
        turn_ends_ns = now + (slice_ns > 100000 ? slice_ns : 100000);
    }
    if (next) wake_at(turn_ends_ns);
    return !total || stream->xq == turn;
}

static bool may_run(const Stream *stream, int64_t now) {
    if (scheduler != LOCAL) return true;
    switch (policy) {
    case HPF:
    case LAX:  return highest_priority(stream, now);
    case KEDF: return among_k_earliest(stream);
    case UP:   return has_turn(stream, now);
    default:   return true;
    }
}

static bool enact(Stream *stream, int64_t now) {
    bool any = false;
    while (stream->enacted < stream->decided) {
        Decision decision = stream->decisions[stream->enacted % DECISIONS];
        if (decision.at_ns > now) { wake_at(decision.at_ns); break; }
        suspend(stream, decision.suspend);
        stream->enacted++;
        any = true;
    }
    return any;
}

static bool reschedule(int64_t now) {
    bool any = false;
    for (Stream *stream = streams; stream; stream = stream->next) {
        if (!stream->xq) continue;
        bool preempt = !may_run(stream, now);
        if (preempt != stream->preempted) {
            if (stream->decided - stream->enacted == DECISIONS) end_process("too many decisions");
            int64_t at_ns = now + (adversary == LATE ? LATE_NS : 0);
            stream->decisions[stream->decided++ % DECISIONS] = (Decision){at_ns, preempt};
            stream->preempted = preempt;
        }
        any |= enact(stream, now);
    }
    return any;
}

/* Did anything change? */
static bool update(void) {
    bool ever = false;
    for (bool any = true; any;) {
        int64_t now = now_ns();
        wake_ns = NEVER;
        any = reschedule(now);
        for (Stream *stream = streams; stream; stream = stream->next) any |= pump(stream);
        ever |= any;
    }
    if (ever) pthread_cond_broadcast(&changed);
    return ever;
}

/* Until an event or a time that the policy waits for; whoever waits sees to it, for a stream's
 * executor always does. */
static void wait_for_change(void) {
    if (update()) return;
    struct timespec wake = {wake_ns / 1000000000, wake_ns % 1000000000};
    pthread_cond_clockwait(&changed, &lock, CLOCK_MONOTONIC, &wake);
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
    if (stream->state != READY) stream->ready_ns = now_ns();
    stream->state = READY;
}

/* --- the streams that the tests use --------------------------------------------------------- */

static Command *next_command(Stream *stream) {
    bool held = stream->suspended && level_of(stream) >= DEACTIVATE;
    if (stream->direct.first) return pop(&stream->direct);
    return stream->done < stream->launched && !held ? pop(&stream->queued) : NULL;
}

static void leave_mark(Ring *ring, double value) {
    ring->ticks[ring->count % RING_SIZE] = now_ns();
    ring->values[ring->count % RING_SIZE] = value;
    ring->count++;
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
        if (command->microseconds) nanosleep(&length, NULL);
        if (command->launch && command->launch((uintptr_t)stream, command->data) != SUCCESS)
            end_process("a launch callback failed");
        acquire();
        while (command->queued && stream->suspended && level_of(stream) >= INTERRUPT)
            wait_for_change();
        stream->running = false;
        stream->completed += command->counts;
        stream->done += command->queued;
        if (command->ring) leave_mark(command->ring, command->value);
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

/* Every so many of them leave a mark, the last one with that value. */
void DoubleStreamSubmit(Stream *stream, int64_t count, int64_t microseconds, Ring *ring,
                        int64_t every, double last) {
    acquire();
    for (int64_t i = 0; i < count; i++) {
        Command command = {.microseconds = microseconds, .counts = true, .value = __builtin_nan("")};
        if ((i + 1) % every == 0) command.ring = ring;
        if (i + 1 == count) command.value = last;
        add(stream, command, !goes_past(i));
    }
    release(SUCCESS);
}

void DoubleRecordEvent(Stream *stream) {
    acquire();
    add(stream, (Command){0}, adversary != NO_SHIM);
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

Ring *DoubleRingCreate(void) { return calloc(1, sizeof(Ring)); }

int64_t DoubleRingCount(Ring *ring) {
    acquire();
    int64_t count = ring->count;
    release(SUCCESS);
    return count;
}

/* Marks `from` to `to`, of which the last RING_SIZE are there. */
void DoubleRingRead(Ring *ring, int64_t from, int64_t to, int64_t *ticks, double *values) {
    acquire();
    for (int64_t i = from; i < to; i++) {
        *ticks++ = ring->ticks[i % RING_SIZE];
        *values++ = ring->values[i % RING_SIZE];
    }
    release(SUCCESS);
}

/* From now on; whether there is such an adversary. */
int32_t DoubleMisbehave(const char *name) {
    int found = 0;
    while (found < ADVERSARIES && strcmp(names[found], name)) found++;
    if (found == ADVERSARIES) return false;
    acquire();
    adversary = found;
    release(SUCCESS);
    return true;
}

/* The queue of what stands in for a HIP runtime's stream, 0: none. */
uint64_t DoubleHipQueue(void *hip) {
    uint64_t xq = 0;
    acquire();
    for (Stream *stream = streams; stream; stream = stream->next)
        if (stream->hip == hip) xq = stream->xq;
    release(SUCCESS);
    return xq;
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
/* A stream of a HIP runtime gets one of these that stands in for it, once: it takes callbacks, and
 * they do the rest. */
int32_t HipQueueCreate(uint64_t *hwq, Stream *stream) {
    if (!stream) return NOT_SUPPORTED;
    acquire();
    Stream *found = streams;
    while (found && found != stream && found->hip != stream) found = found->next;
    release(SUCCESS);
    if (!found) {
        found = DoubleStreamCreate();
        found->hip = stream;
    }
    return CudaQueueCreate(hwq, found);
}
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
        stream->hints = NO_HINTS;
        stream->suspended = stream->preempted = false;
        stream->suspensions = stream->decided = stream->enacted = 0;
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
    suspend(stream, true);
    if (flags & SYNC_HW_QUEUE && level_of(stream) == BLOCK) wait_launched(stream);
)
ON_QUEUE(XQueueResume, (uint64_t xq, int64_t flags),
    if (flags) return release(NOT_SUPPORTED);
    suspend(stream, false);
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
    for (Stream *stream = streams; stream; stream = stream->next) stream->hints = NO_HINTS;
    return release(SUCCESS);
}

#define ON_HINT(function, parameters, hint)                             \
    ON_QUEUE(function, parameters, if (scheduler == LOCAL) { hint } /* else nobody listens */)

ON_HINT(XHintPriority, (uint64_t xq, int32_t priority),
    stream->hints.priority = priority < -255 ? -255 : priority > 255 ? 255 : priority;
)
ON_HINT(XHintUtilization, (uint64_t xq, int32_t utilization),
    if (utilization >= 0 && utilization <= 100) stream->hints.utilization = utilization;
)
ON_HINT(XHintDeadline, (uint64_t xq, int64_t microseconds),
    stream->hints.deadline_ns = microseconds < 0 ? NO_DEADLINE : microseconds * 1000;
)
ON_HINT(XHintLaxity, (uint64_t xq, int64_t microseconds, int32_t lax, int32_t critical),
    stream->hints.laxity_ns = microseconds < 0 ? 0 : microseconds * 1000;
    stream->hints.lax = lax;
    stream->hints.critical = critical;
)
int32_t XHintTimeslice(int64_t microseconds) {
    acquire();
    if (microseconds >= TIMESLICE_MIN_US && microseconds <= TIMESLICE_MAX_US)
        timeslice_ns = microseconds * 1000;
    return release(SUCCESS);
}
#ifndef LACKS_SYMBOL
int32_t XHintKDeadline(size_t k) {
    acquire();
    if (k) k_deadline = (int64_t)k;
    return release(SUCCESS);
}
#endif
