/* thread.c - thread records: stack bounds, signal stacks, registration with the checker. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "machine.h"
#include "thread.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* Stack kept free below a host function or a builtin. V8 lets JavaScript run to within 192 KiB of a worker's stack end (kStackBufferSize in node_worker.h)
 * and runs C++ in those; 64 KiB more get a call from wasm safely to V8's own check, which then throws. */
#define HOST_RESERVE (UINT64_C(256) << 10)
/* Stack that an entry wants on top of that, so that a call that cannot get anywhere fails at once. */
#define ENTRY_ROOM (UINT64_C(128) << 10)
/* On small stacks the two are limited to this part of the stack. */
#define HOST_RESERVE_PART 4
#define ENTRY_ROOM_PART 8
/* The most stack that wasm gets on a main thread whose rlimit is larger (or infinite): runaway recursion must not eat the machine's memory. */
#define MAIN_STACK_MAX (UINT64_C(256) << 20)
#define MAIN_GUARD_SIZE (UINT64_C(64) << 10)
/* Signal stack, beyond what the kernel needs for the frame: room for the handlers of others that ours call. */
#define SIGNAL_STACK_ROOM (UINT64_C(64) << 10)
/* A signal stack that was there before is kept if it has this much beyond the frame: what our own handlers need, with a margin. */
#define SIGNAL_STACK_LEAST (UINT64_C(8) << 10)
/* A stack access of compiled code is at most this far below the stack pointer ... */
#define BELOW_SP MACHINE_BELOW_SP
/* ... and this far above it when it is the first to touch its page: prologues probe at least every 4,096 bytes. Twice that, as the last probe may lie above sp. */
#define ABOVE_SP 8192

#if !defined(__APPLE__)
__thread struct waot_thread *waot_thread_current;
#endif
pthread_mutex_t waot_threads_lock = PTHREAD_MUTEX_INITIALIZER;
struct waot_thread_record *waot_threads;

static pthread_key_t exit_key;

static uintptr_t page_size(void) { return (uintptr_t)sysconf(_SC_PAGESIZE); }
static uintptr_t page_down(uintptr_t address) { return address & ~(page_size() - 1); }
static uint64_t at_most(uint64_t value, uint64_t most) { return value < most ? value : most; }

/* The main thread's stack grows on demand up to RLIMIT_STACK, where the kernel faults. Above MAIN_STACK_MAX that is too late, so a guard is put below. */
static int bound_main_stack(struct waot_thread_record *t) {
  uintptr_t here = page_down((uintptr_t)__builtin_frame_address(0));
  if (here - t->stack_low <= MAIN_STACK_MAX) return 0;
  uintptr_t low = here - MAIN_STACK_MAX;
  if (!waot_os_map_guard((void *)(low - MAIN_GUARD_SIZE), MAIN_GUARD_SIZE)) return -1;
  t->stack_low = low;
  return 0;
}

/* A stack that the program made itself (pthread_attr_setstack) has no guard: its lowest page becomes one until the thread ends. */
static int guard_own_stack(struct waot_thread_record *t) {
  uintptr_t page = page_down(t->stack_low + page_size() - 1);
  if (mprotect((void *)page, page_size(), PROT_NONE) != 0) return -1;
  t->own_guard = (void *)page;
  t->stack_low = page + page_size();
  return 0;
}

/* Finds the stack that the thread runs on, makes sure that an overflow faults, and sets the limits. */
static int find_stack(struct waot_thread_record *t) {
  struct waot_os_stack stack;
  if (waot_os_stack(&stack) != 0) return -1;
  t->stack_low = stack.low;
  t->stack_high = stack.high;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  if (here < t->stack_low || here >= t->stack_high) return -1; /* on a stack of the program's own making: nothing is known of its end */
  if (stack.is_main && bound_main_stack(t) != 0) return -1;
  if (!stack.has_guard && guard_own_stack(t) != 0) return -1;
  uint64_t whole = t->stack_high - t->stack_low;
  t->head.host_stack_limit = t->stack_low + at_most(HOST_RESERVE, whole / HOST_RESERVE_PART);
  t->entry_limit = t->head.host_stack_limit + at_most(ENTRY_ROOM, whole / ENTRY_ROOM_PART);
  t->entry_room = t->stack_high - t->entry_limit;
  return 0;
}

bool waot_thread_overflowed(const struct waot_thread_record *t, uintptr_t address, uintptr_t sp) {
  /* The stack pointer itself may be in or below the guard: a prologue moves it by up to a page before it probes. An access near it that faults can only be one
   * of the stack, as everything else that compiled code touches is in mappings of its own. */
  bool near_sp = address + BELOW_SP >= sp && address < sp + ABOVE_SP;
  return near_sp && sp < t->stack_high && sp + MAIN_GUARD_SIZE >= t->stack_low;
}

/* Maps the record and a signal stack: [guard page][signal stack][record]. */
static struct waot_thread_record *map_record(void) {
  uintptr_t page = page_size();
  size_t frame = waot_os_signal_frame();
  size_t stack = (SIGNAL_STACK_ROOM + frame + page - 1) & ~(page - 1);
  size_t size = page + stack + ((sizeof(struct waot_thread_record) + page - 1) & ~(page - 1));
  char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return NULL;
  if (mprotect(mapping, page, PROT_NONE) != 0) {
    munmap(mapping, size);
    return NULL;
  }
  struct waot_thread_record *t = (void *)(mapping + page + stack);
  t->mapping = mapping;
  t->mapping_size = size;
  stack_t before;
  if (sigaltstack(NULL, &before) == 0 && (before.ss_flags & SS_DISABLE) == 0 && before.ss_size >= frame + SIGNAL_STACK_LEAST) return t;
  t->signal_stack = mapping + page;
  stack_t ours = { .ss_sp = t->signal_stack, .ss_size = stack };
  if (sigaltstack(&ours, NULL) != 0) {
    munmap(mapping, size);
    return NULL;
  }
  return t;
}

/* Undoes map_record and find_stack, on the record's own thread. */
static void unmap_record(struct waot_thread_record *t) {
  stack_t now;
  if (t->signal_stack && sigaltstack(NULL, &now) == 0 && now.ss_sp == t->signal_stack) {
    stack_t none = { .ss_flags = SS_DISABLE };
    sigaltstack(&none, NULL);
  }
  if (t->own_guard) mprotect(t->own_guard, page_size(), PROT_READ | PROT_WRITE);
  munmap(t->mapping, t->mapping_size);
}

/* Key destructor. A destructor of somebody else may run wasm after it: then the thread is attached, and this is called, once more. */
static void detach(void *record) {
  struct waot_thread_record *t = record;
  waot_thread_set_current(NULL);
  pthread_mutex_lock(&waot_threads_lock);
  if (t->prev) t->prev->next = t->next;
  else waot_threads = t->next;
  if (t->next) t->next->prev = t->prev;
  pthread_mutex_unlock(&waot_threads_lock);
  waot_os_thread_release(&t->os);
  unmap_record(t);
}

/* Ticks must arrive, and a blocked fault kills the process. */
static void unblock_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  if (waot_tick_signal) sigaddset(&set, waot_tick_signal);
  sigaddset(&set, SIGSEGV);
  sigaddset(&set, SIGBUS);
  sigaddset(&set, MACHINE_TRAP_SIGNAL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

struct waot_thread_record *waot_thread_attach(void) {
  if (waot_thread_current) return (struct waot_thread_record *)waot_thread_current;
  struct waot_thread_record *t = map_record();
  if (!t) return NULL;
  if (find_stack(t) != 0 || pthread_setspecific(exit_key, t) != 0) {
    unmap_record(t);
    return NULL;
  }
  waot_os_thread_self(&t->os);
  unblock_signals();
  waot_thread_set_current(&t->head);
  pthread_mutex_lock(&waot_threads_lock);
  t->next = waot_threads;
  if (t->next) t->next->prev = t;
  waot_threads = t;
  pthread_mutex_unlock(&waot_threads_lock);
  return t;
}

int waot_thread_set_poll(int (*poll)(void *data), void *data) {
  struct waot_thread_record *t = waot_thread_attach();
  if (!t) return -1;
  __atomic_store_n(&t->poll, NULL, __ATOMIC_SEQ_CST); /* a tick in between must not meet the one with the data of the other */
  t->poll_data = data;
  __atomic_store_n(&t->poll, poll, __ATOMIC_SEQ_CST);
  return 0;
}

int waot_threads_init(void) {
  static bool made; /* under the lock of waot_init */
  if (!made && (pthread_key_create(&exit_key, detach) != 0 || waot_os_threads_init() != 0)) return -1;
  made = true;
  return 0;
}

void waot_threads_fork_child(void) {
  pthread_mutex_init(&waot_threads_lock, NULL);
  struct waot_thread_record *mine = (struct waot_thread_record *)waot_thread_current;
  for (struct waot_thread_record *t = waot_threads, *next; t; t = next) {
    next = t->next;
    if (t == mine) continue;
    if (t->own_guard) mprotect(t->own_guard, page_size(), PROT_READ | PROT_WRITE);
    munmap(t->mapping, t->mapping_size);
  }
  waot_threads = mine;
  if (!mine) return;
  mine->next = mine->prev = NULL;
  waot_os_thread_self(&mine->os);
  mine->head.tick_pending = 0;
}
