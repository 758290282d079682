/*
 * thread.h - what the runtime keeps for each thread that has run wasm, and the checker's view of those threads.
 *
 * A record is made by the first waot_call on a thread and freed by a pthread key destructor when the thread ends. It lives in one mapping with the
 * thread's signal stack, and the thread-local pointer to it is initial-exec, so that neither the trampolines nor the handlers can allocate.
 */
#ifndef WAOT_THREAD_H
#define WAOT_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi.h"
#include "include/wasm_aot.h"
#include "os.h"
#include "pace.h"

/* Frames that are remembered of a call that ended early. */
#define WAOT_TRACE_MAX 64

struct waot_thread_record {
  struct waot_thread head; /* first: what the assembly and the tick signal know */
  struct waot_os_thread os;
  uintptr_t stack_low, stack_high; /* the stack that wasm may use: [low, high); it grows down */
  uintptr_t entry_limit;           /* lowest stack pointer at which wasm may be entered */
  uintptr_t entry_room;            /* stack_high - entry_limit */
  void *own_guard;                 /* page of a caller-made stack that was made inaccessible, or NULL */
  void *mapping;                   /* guard page, signal stack, this record */
  size_t mapping_size;
  void *signal_stack;              /* inside the mapping, or NULL when the thread had a good one before */
  uintptr_t trace[WAOT_TRACE_MAX]; /* the frames of the last activation that ended early: see backtrace.h */
  uint32_t trace_count;
  bool trace_is_new;
  int (*poll)(void *data);         /* waot_thread_set_poll() */
  void *poll_data;
  uint64_t bulk_work;              /* bytes of bulk operators since they last looked for interruptions */
  struct waot_pace pace;           /* when it is to be ticked */
  uint32_t unanswered;             /* the checker's: periods that the pending tick has been under way */
  bool tick_due;                   /* the checker's: it has set tick_pending in this scan. Under waot_threads_lock, like the links */
  struct waot_thread_record *next, *prev;
};

/* The calling thread's record, as its head; NULL before the first entry. The trampolines read it as well: see assembly.h. */
#if defined(__APPLE__)
/* Thread-local variables of dyld are allocated on first use, in a handler perhaps. So it is the value of a pthread key, whose place is at a fixed distance from the thread
 * pointer: waot_thread_slot bytes, which waot_os_threads_init has found. */
extern uintptr_t waot_thread_slot __attribute__((visibility("hidden")));
static inline struct waot_thread *waot_thread_read(void) {
#if defined(__x86_64__)
  struct waot_thread *thread;
  __asm__ volatile("movq %%gs:(%1), %0" : "=r"(thread) : "r"(waot_thread_slot) : "memory");
  return thread;
#else
  uintptr_t base;
  __asm__ volatile("mrs %0, tpidrro_el0" : "=r"(base));
  return *(struct waot_thread **)((base & ~(uintptr_t)7) + waot_thread_slot);
#endif
}
#define waot_thread_current waot_thread_read()
void waot_thread_set_current(struct waot_thread *thread);
#else
extern __thread struct waot_thread *waot_thread_current __attribute__((tls_model("initial-exec")));
static inline void waot_thread_set_current(struct waot_thread *thread) { waot_thread_current = thread; }
#endif

/* Held while records are linked or unlinked, and by the checker while it scans and sends: a thread whose record is linked is alive. */
extern pthread_mutex_t waot_threads_lock;
extern struct waot_thread_record *waot_threads;

/* The record of the calling thread, made if need be. NULL when there is no memory, or when the bounds of the stack can be neither found nor made safe. */
struct waot_thread_record *waot_thread_attach(void);
/* Whether `address`, touched at stack pointer `sp`, is an overflow of the thread's stack. Async-signal-safe. */
bool waot_thread_overflowed(const struct waot_thread_record *thread, uintptr_t address, uintptr_t sp);

/* Once per process; 0 or -1. */
int waot_threads_init(void);
/* In the child after fork: forgets the parent's other threads. */
void waot_threads_fork_child(void);

/* enter_x64.S: runs func through its entry adapter in a new activation. Returns how the call ended, by waot_call_finish; limits->fuel is up to date. */
int waot_enter(struct waot_thread *thread, struct waot_limits *limits, const waot_func *func, waot_value *args);
/* call.c: for an activation that ended with a status other than ok, or with its fuel exhausted: the status with which the call ends. */
int waot_call_finish(struct waot_limits *limits, int status);
/* enter_x64.S: where the handlers send a thread that leaves wasm early: sp = activation, status in eax, fuel in rbp. Not callable. */
extern const char waot_landing[];

/* checker.c. The flag is 0 while the checker runs, 1 while it sleeps, 2 when there is no checker thread, 3 while it dozes. */
extern uint32_t waot_checker_asleep;
/* Starts the checker thread with this period. Returns 0 or an errno. */
int waot_checker_start(uint32_t tick_us);
/* The longest time between two ticks of a thread in compiled code, in ns. */
int64_t waot_checker_longest(void);
/* The slow path of entering wasm: wakes the checker, or starts it anew in a child after fork. Non-zero when wasm would run unsupervised. */
int waot_checker_wake(void);
/* Wakes the checker if it dozes: somebody has work for it. */
void waot_checker_rouse(void);
/* The slow path of leaving wasm: returns when the tick on its way to this thread has been delivered or called off. */
void waot_tick_wait(struct waot_thread *thread);
void waot_checker_fork_prepare(void);
void waot_checker_fork_parent(void);
void waot_checker_fork_child(void);

/* trap.c. Whether the host wants the thread to leave wasm for good (waot_thread_set_poll). Only where the thread is in the middle of nothing else. */
bool waot_thread_is_ending(const struct waot_thread_record *thread);
/* The number of the tick signal, 0 before waot_init. */
extern int waot_tick_signal;
/* Installs the handlers. Returns 0, or the signal that could not be had. */
int waot_handlers_install(int tick_signal);
/* In the child after fork. */
void waot_handlers_fork_child(void);
void waot_signals_fork_prepare(void);
void waot_signals_fork_parent(void);
void waot_signals_fork_child(void);

#endif /* WAOT_THREAD_H */
