/*
 * os_darwin.c - os.h for macOS. Written from Apple's published sources and documentation (XNU, libpthread, dyld) and compiled without an SDK; it has not been run.
 *
 * Ticks are a signal here too, sent by pthread_kill, and not a change of a suspended thread's registers from outside: what a tick does (asking Node whether JavaScript may still run, noting
 * frames) must happen on the thread itself, and so everything but the sending is the code that runs on Linux. There are no queued signals with a value, so
 * a tick is known by tick_pending, which the checker sets for this thread before it sends. Somebody else's signal of that number, arriving in between, is taken for the tick, and the tick
 * for theirs: none is lost that the system would not have merged. The default is SIGURG, which the system ignores where nobody handles it and debuggers pass on without stopping.
 *
 * Barriers: reading a running thread's registers through Mach stops it in the kernel, and whatever it stored before is seen by who asked.
 */
#if defined(__APPLE__)
#include "os.h"

#include <dlfcn.h>
#include <errno.h>
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "thread.h"

/* --- ticks -------------------------------------------------------------------------------------------------------- */

/* Signals that neither the kernel nor the C library sends for reasons of their own that matter. */
static const int tick_signals[] = { SIGURG, SIGUSR1, SIGUSR2, SIGEMT, SIGINFO, SIGIO };
#define TICK_SIGNALS (sizeof tick_signals / sizeof tick_signals[0])

struct waot_os_words waot_os_tick_words(void) {
  struct waot_os_words words;
  snprintf(words.text, sizeof words.text, "SIGURG (%d), SIGUSR1 (%d), SIGUSR2 (%d), SIGEMT (%d), SIGINFO (%d) or SIGIO (%d)", SIGURG, SIGUSR1, SIGUSR2, SIGEMT, SIGINFO, SIGIO);
  return words;
}

int waot_os_default_tick(void) { return SIGURG; }

bool waot_os_can_tick(int signal) {
  for (size_t i = 0; i < TICK_SIGNALS; i++) {
    if (tick_signals[i] == signal) return true;
  }
  return false;
}

void waot_os_thread_self(struct waot_os_thread *thread) { *thread = (struct waot_os_thread){ pthread_self(), mach_thread_self() }; }
void waot_os_thread_release(struct waot_os_thread *thread) { mach_port_deallocate(mach_task_self(), thread->port); }

int waot_os_send_tick(const struct waot_os_thread *thread, int signal, struct waot_thread *head) {
  (void)head;
  return pthread_kill(thread->pthread, signal) == 0 ? 0 : -1;
}

bool waot_os_is_tick(const siginfo_t *info, const struct waot_thread *head, pid_t own_pid) {
  (void)info, (void)own_pid;
  return head && __atomic_load_n(&head->tick_pending, __ATOMIC_SEQ_CST);
}

void waot_os_send_again(int signal, siginfo_t *info) {
  (void)info;
  pthread_kill(pthread_self(), signal);
}
/* The codes of kill and the like are SI_USER and above here, and those of faults below. */
bool waot_os_is_fault(const siginfo_t *info) { return info->si_code < SI_USER; }

bool waot_os_barrier_init(void) { return true; }

void waot_os_barrier(bool only_due) {
#if defined(__x86_64__)
  x86_thread_state64_t state;
  const thread_state_flavor_t flavor = x86_THREAD_STATE64;
  const mach_msg_type_number_t size = x86_THREAD_STATE64_COUNT;
#else
  arm_thread_state64_t state;
  const thread_state_flavor_t flavor = ARM_THREAD_STATE64;
  const mach_msg_type_number_t size = ARM_THREAD_STATE64_COUNT;
#endif
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (struct waot_thread_record *t = waot_threads; t; t = t->next) {
    mach_msg_type_number_t count = size;
    if (t->tick_due || !only_due) thread_get_state(t->os.port, flavor, (thread_state_t)&state, &count);
  }
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Waiting on an address is public from macOS 14.4 only. */
static pthread_mutex_t wait_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wait_changed = PTHREAD_COND_INITIALIZER;

static struct timespec timespec_of(int64_t time) { return (struct timespec){ (time_t)(time / 1000000000), (long)(time % 1000000000) }; }

void waot_os_wait(uint32_t *word, uint32_t value, int64_t most) {
  struct timespec time = timespec_of(most);
  pthread_mutex_lock(&wait_lock);
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) {
    if (most < 0) pthread_cond_wait(&wait_changed, &wait_lock);
    else pthread_cond_timedwait_relative_np(&wait_changed, &wait_lock, &time);
  }
  pthread_mutex_unlock(&wait_lock);
}

/* *word has been changed already: under the lock the waiter has either seen that, or waits. */
void waot_os_wake(uint32_t *word) {
  (void)word;
  pthread_mutex_lock(&wait_lock);
  pthread_cond_broadcast(&wait_changed);
  pthread_mutex_unlock(&wait_lock);
}

void waot_os_wait_fork_child(void) {
  pthread_mutex_init(&wait_lock, NULL);
  pthread_cond_init(&wait_changed, NULL);
}

void waot_os_sleep(int64_t time) {
  struct timespec length = timespec_of(time);
  nanosleep(&length, NULL); /* all signals are blocked on the checker; a leaving thread that is woken early looks again */
}

void waot_os_begin_checker(void) {
  pthread_setname_np("waot-checker");
  pthread_set_qos_class_self_np(QOS_CLASS_USER_INTERACTIVE, 0); /* else timers may be put off to save energy */
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

uintptr_t waot_thread_slot;
static pthread_key_t record_key, context_key, frame_key, depth_key;

/* Where the value of a key is, from the thread pointer: libpthread keeps values in an array there, by key. Made sure of by a value that is looked for. */
static int find_slot(void) {
  static const char magic;
  waot_thread_slot = (uintptr_t)record_key * sizeof(void *);
  if (pthread_setspecific(record_key, &magic) != 0) return -1;
  bool found = (const void *)waot_thread_current == &magic;
  pthread_setspecific(record_key, NULL);
  return found ? 0 : -1;
}

/* The checker thread and the handlers outlive any dlclose: what -z nodelete is on Linux. */
static int pin(void) {
  Dl_info info;
  return dladdr((const void *)waot_os_threads_init, &info) != 0 && dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) != NULL ? 0 : -1;
}

int waot_os_threads_init(void) {
  if (pin() != 0) return -1;
  if (pthread_key_create(&record_key, NULL) != 0 || pthread_key_create(&context_key, NULL) != 0) return -1;
  if (pthread_key_create(&frame_key, NULL) != 0 || pthread_key_create(&depth_key, NULL) != 0) return -1;
  return find_slot();
}

void waot_thread_set_current(struct waot_thread *thread) { pthread_setspecific(record_key, thread); }

/* Reading and writing the value of a key is a load and a store in libpthread. */
struct waot_passing waot_os_passing(void) {
  return (struct waot_passing){ pthread_getspecific(context_key), (uintptr_t)pthread_getspecific(frame_key), (uintptr_t)pthread_getspecific(depth_key) };
}
void waot_os_set_passing(struct waot_passing next) {
  pthread_setspecific(context_key, next.context);
  pthread_setspecific(frame_key, (void *)next.frame);
  pthread_setspecific(depth_key, (void *)next.depth);
}

/* The mapping that holds an address, or the next one above; submaps (the shared cache) are entered. False when there is none. */
static bool region_at(mach_vm_address_t from, struct waot_os_mapping *mapping) {
  mach_vm_address_t address = from;
  mach_vm_size_t size;
  natural_t depth = 0;
  for (;;) {
    vm_region_submap_info_data_64_t info;
    mach_msg_type_number_t count = VM_REGION_SUBMAP_INFO_COUNT_64;
    if (mach_vm_region_recurse(mach_task_self(), &address, &size, &depth, (vm_region_recurse_info_t)&info, &count) != KERN_SUCCESS) return false;
    if (info.is_submap) {
      depth++;
      continue;
    }
    *mapping = (struct waot_os_mapping){
      (uintptr_t)address, (uintptr_t)(address + size), (info.protection & VM_PROT_READ) != 0, (info.protection & VM_PROT_WRITE) != 0, (info.protection & VM_PROT_EXECUTE) != 0,
    };
    return true;
  }
}

int waot_os_stack(struct waot_os_stack *stack) {
  uintptr_t high = (uintptr_t)pthread_get_stackaddr_np(pthread_self());
  size_t size = pthread_get_stacksize_np(pthread_self());
  if (high == 0 || size == 0 || size > high) return -1;
  struct waot_os_mapping below;
  uintptr_t low = high - size;
  bool accessible = region_at(low - 1, &below) && below.start < low && (below.readable || below.writable);
  *stack = (struct waot_os_stack){ low, high, pthread_main_np() != 0, !accessible };
  return 0;
}

bool waot_os_map_guard(void *at, size_t size) {
  mach_vm_address_t address = (mach_vm_address_t)at;
  if (mach_vm_allocate(mach_task_self(), &address, size, VM_FLAGS_FIXED) != KERN_SUCCESS) return false; /* without VM_FLAGS_OVERWRITE: nothing may be there */
  return mprotect(at, size, PROT_NONE) == 0;
}

size_t waot_os_signal_frame(void) { return MINSIGSTKSZ; }

/* --- address space ------------------------------------------------------------------------------------------------ */

int waot_os_each_mapping(uintptr_t from, bool (*visit)(void *data, const struct waot_os_mapping *mapping), void *data) {
  struct waot_os_mapping mapping;
  for (uintptr_t at = from; region_at(at, &mapping) && visit(data, &mapping); at = mapping.end) {}
  return 0;
}

/* The Mach header is at the library's address 0. */
uintptr_t waot_os_load_address(void *handle, const void *symbol) {
  (void)handle;
  Dl_info info;
  return symbol && dladdr(symbol, &info) != 0 ? (uintptr_t)info.dli_fbase : 0;
}
#else
typedef int waot_os_darwin_is_empty_here;
#endif
