/*
 * os.h - what the runtime asks of the operating system beyond POSIX, with an implementation for each: os_linux.c, os_darwin.c. What differs in the registers of an interrupted
 * context is in machine.h, in the trampolines in assembly.h, and in the format of artifacts in object_reader.h.
 */
#ifndef WAOT_OS_H
#define WAOT_OS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct waot_thread;
struct waot_thread_record;

/* --- ticks -------------------------------------------------------------------------------------------------------- */

/* How the system names a thread. */
struct waot_os_thread {
#if defined(__APPLE__)
  pthread_t pthread;
  uint32_t port; /* of Mach; the runtime holds a reference */
#else
  pid_t tid;
#endif
};

/* The tick signal unless another one is asked for; whether one may be asked for; which may, in words. */
int waot_os_default_tick(void);
bool waot_os_can_tick(int signal);
struct waot_os_words { char text[100]; };
struct waot_os_words waot_os_tick_words(void);

/* The calling thread; release gives back what that holds. */
void waot_os_thread_self(struct waot_os_thread *thread);
void waot_os_thread_release(struct waot_os_thread *thread);
/* Sends the tick signal. 0, or -1: try again in the next period. `head` is the thread's record. */
int waot_os_send_tick(const struct waot_os_thread *thread, int signal, struct waot_thread *head);
/* In the handler: whether the signal is such a tick for this thread, and from this process (own_pid), not somebody else's signal. */
bool waot_os_is_tick(const siginfo_t *info, const struct waot_thread *head, pid_t own_pid);
/* In a handler: sends the same signal to the calling thread once more. */
void waot_os_send_again(int signal, siginfo_t *info);
/* Whether si_code is that of a fault, and not of kill and the like. */
bool waot_os_is_fault(const siginfo_t *info);

/* Prepares waot_os_barrier; false where there is none. */
bool waot_os_barrier_init(void);
/* Makes every thread that is running, of the linked records (of those with tick_due only, if so asked), pass a full memory barrier. Under waot_threads_lock. */
void waot_os_barrier(bool only_due);

/* Sleeps while *word is `value`, but may return early, and does after `most` ns unless that is negative; wakes who does; after fork, in the child. */
void waot_os_wait(uint32_t *word, uint32_t value, int64_t most);
void waot_os_wake(uint32_t *word);
void waot_os_wait_fork_child(void);
/* Sleeps so long, in ns, by the clock of deadlines. */
void waot_os_sleep(int64_t time);
/* What the checker thread does first: gives itself a name, and asks to be woken on time. */
void waot_os_begin_checker(void);

/* --- threads ------------------------------------------------------------------------------------------------------ */

/* What one signal handler remembers for the next on the same thread: see signals.c. */
struct waot_passing {
  void *context;
  uintptr_t frame;
  uintptr_t depth;
};

/* Once a process; 0 or -1. */
int waot_os_threads_init(void);
/* Neither allocates nor locks: for handlers. */
struct waot_passing waot_os_passing(void);
void waot_os_set_passing(struct waot_passing passing);

struct waot_os_stack {
  uintptr_t low, high; /* [low, high) */
  bool is_main;        /* grows on demand, to a limit that may be far away */
  bool has_guard;      /* what is below faults */
};

/* The stack of the calling thread. 0 or -1. */
int waot_os_stack(struct waot_os_stack *stack);
/* Makes [at, at + size) inaccessible, where nothing is mapped. False when something is. */
bool waot_os_map_guard(void *at, size_t size);
/* Bytes that the kernel may need on a signal stack for the interrupted registers. */
size_t waot_os_signal_frame(void);

/* --- files -------------------------------------------------------------------------------------------------------- */

/* The member of struct stat that says when a file was changed. */
#if defined(__APPLE__)
#define waot_os_mtime(stat) ((stat)->st_mtimespec)
#else
#define waot_os_mtime(stat) ((stat)->st_mtim)
#endif

/* --- address space ------------------------------------------------------------------------------------------------ */

struct waot_os_mapping {
  uintptr_t start, end;
  bool readable, writable, executable;
};

/* Calls `visit` for the mappings that end above `from`, in the order of addresses, until it returns false. 0, or -1 when they cannot be read. */
int waot_os_each_mapping(uintptr_t from, bool (*visit)(void *data, const struct waot_os_mapping *mapping), void *data);
/* The address that a library's address 0 has, given one of its symbols; 0 when it cannot be found. */
uintptr_t waot_os_load_address(void *handle, const void *symbol);

#endif /* WAOT_OS_H */
