/* os_linux.c - os.h for Linux. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#if defined(__linux__)
#include "os.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- ticks -------------------------------------------------------------------------------------------------------- */

struct waot_os_words waot_os_tick_words(void) {
  struct waot_os_words words;
  snprintf(words.text, sizeof words.text, "a real-time signal, %d to %d, or SIGRTMIN+n", SIGRTMIN, SIGRTMAX);
  return words;
}
int waot_os_default_tick(void) { return SIGRTMIN + 8; }
bool waot_os_can_tick(int signal) { return signal >= SIGRTMIN && signal <= SIGRTMAX; }

void waot_os_thread_self(struct waot_os_thread *thread) { thread->tid = (pid_t)syscall(SYS_gettid); }
void waot_os_thread_release(struct waot_os_thread *thread) { (void)thread; }

int waot_os_send_tick(const struct waot_os_thread *thread, int signal, struct waot_thread *head) {
  pid_t process = getpid();
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = process;
  info.si_uid = getuid();
  info.si_value.sival_ptr = head;
  /* Fails when the queue of pending signals is full (RLIMIT_SIGPENDING). */
  return syscall(SYS_rt_tgsigqueueinfo, process, thread->tid, signal, &info) == 0 ? 0 : -1;
}

bool waot_os_is_tick(const siginfo_t *info, const struct waot_thread *head, pid_t own_pid) {
  return info->si_code == SI_QUEUE && info->si_pid == own_pid && head && info->si_value.sival_ptr == head;
}

void waot_os_send_again(int signal, siginfo_t *info) { syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), signal, info); }
bool waot_os_is_fault(const siginfo_t *info) { return info->si_code > 0; }

bool waot_os_barrier_init(void) { return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0; }
void waot_os_barrier(bool only_due) {
  (void)only_due;
  syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static struct timespec timespec_of(int64_t time) { return (struct timespec){ (time_t)(time / 1000000000), (long)(time % 1000000000) }; }
static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *most) { return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, most, NULL, 0); }
void waot_os_wait(uint32_t *word, uint32_t value, int64_t most) {
  struct timespec time = timespec_of(most);
  futex(word, FUTEX_WAIT, value, most < 0 ? NULL : &time);
}
void waot_os_wake(uint32_t *word) { futex(word, FUTEX_WAKE, 1, NULL); }
void waot_os_wait_fork_child(void) {}
void waot_os_sleep(int64_t time) {
  struct timespec length = timespec_of(time);
  clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}

void waot_os_begin_checker(void) {
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* nanoseconds; by default the kernel may wake us 50 us late */
  pthread_setname_np(pthread_self(), "waot-checker");
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

extern void *__libc_stack_end; /* ld.so: a place near the top of the main thread's stack */
static __thread struct waot_passing passing __attribute__((tls_model("initial-exec")));

int waot_os_threads_init(void) { return 0; }
struct waot_passing waot_os_passing(void) { return passing; }
void waot_os_set_passing(struct waot_passing next) { passing = next; }

int waot_os_stack(struct waot_os_stack *stack) {
  pthread_attr_t attr;
  void *low = NULL;
  size_t size = 0, guard = 0;
  if (pthread_getattr_np(pthread_self(), &attr) != 0) return -1;
  int failed = pthread_attr_getstack(&attr, &low, &size) | pthread_attr_getguardsize(&attr, &guard);
  pthread_attr_destroy(&attr);
  if (failed) return -1;
  uintptr_t main_stack = (uintptr_t)__libc_stack_end, start = (uintptr_t)low;
  bool is_main = main_stack >= start && main_stack < start + size;
  *stack = (struct waot_os_stack){ start, start + size, is_main, is_main || guard != 0 };
  return 0;
}

bool waot_os_map_guard(void *at, size_t size) {
  void *guard = mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (guard == MAP_FAILED) return false;
  if (guard == at) return true;
  munmap(guard, size); /* a kernel before 4.17 takes the address for a hint */
  return false;
}

size_t waot_os_signal_frame(void) {
  size_t frame = getauxval(AT_MINSIGSTKSZ); /* what this kernel needs for the registers of this CPU; 0 from an old kernel */
  return frame < (size_t)MINSIGSTKSZ ? (size_t)MINSIGSTKSZ : frame;
}

/* --- address space ------------------------------------------------------------------------------------------------ */

/* A kernel page of /proc/self/maps: what one read of it returns at most. */
#define MAPS_BUFFER 4096

/* Reads a line of /proc/self/maps, "start-end rwxp ...". By hand: each new memory has all lines read, and with sscanf that takes twice as long. */
static bool read_mapping(const char *line, struct waot_os_mapping *mapping) {
  char *at;
  mapping->start = (uintptr_t)strtoull(line, &at, 16);
  if (*at != '-') return false;
  mapping->end = (uintptr_t)strtoull(at + 1, &at, 16);
  if (*at != ' ' || strlen(at) < 5) return false;
  mapping->readable = at[1] == 'r';
  mapping->writable = at[2] == 'w';
  mapping->executable = at[3] == 'x';
  return true;
}

/* The argument of an ioctl of /proc/self/maps, since Linux 6.11 (struct procmap_query of linux/fs.h): one mapping, of which the rest is not asked for. */
struct mapping_query {
  uint64_t size, flags, address;
  uint64_t start, end, permissions, page_size, offset, inode;
  uint32_t device[2], name_size, build_id_size;
  uint64_t name, build_id;
};
#define QUERY_MAPPING _IOWR('f', 17, struct mapping_query)
enum { MAPPING_READABLE = 1, MAPPING_WRITABLE = 2, MAPPING_EXECUTABLE = 4, AT_OR_ABOVE = 16 };

enum answer { FOUND, NO_MORE, NOT_ANSWERED };
/* Asks for the first mapping that ends above an address: V8 can have thousands below it. */
static enum answer query_mapping(int maps, uintptr_t address, struct waot_os_mapping *mapping) {
  struct mapping_query query = { .size = sizeof query, .flags = AT_OR_ABOVE, .address = address };
  if (ioctl(maps, QUERY_MAPPING, &query) != 0) return errno == ENOENT ? NO_MORE : NOT_ANSWERED;
  *mapping = (struct waot_os_mapping){ (uintptr_t)query.start, (uintptr_t)query.end, (query.permissions & MAPPING_READABLE) != 0, (query.permissions & MAPPING_WRITABLE) != 0, (query.permissions & MAPPING_EXECUTABLE) != 0 };
  return FOUND;
}

/* As waot_os_each_mapping, by the text of the file. */
static int read_mappings(FILE *maps, uintptr_t from, bool (*visit)(void *data, const struct waot_os_mapping *mapping), void *data) {
  char buffer[MAPS_BUFFER], *line = NULL;
  setvbuf(maps, buffer, _IOFBF, sizeof buffer); /* by default 1024 bytes */
  size_t size = 0;
  bool more = true;
  while (more && getline(&line, &size, maps) > 0) {
    struct waot_os_mapping mapping;
    if (!read_mapping(line, &mapping) || mapping.end <= from) continue;
    more = visit(data, &mapping);
  }
  free(line);
  fclose(maps);
  return 0;
}

int waot_os_each_mapping(uintptr_t from, bool (*visit)(void *data, const struct waot_os_mapping *mapping), void *data) {
  int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (maps < 0) return -1;
  struct waot_os_mapping mapping = { .end = from };
  enum answer answer;
  while ((answer = query_mapping(maps, mapping.end, &mapping)) == FOUND && visit(data, &mapping)) {}
  FILE *text = NULL;
  if (answer == NOT_ANSWERED && mapping.end == from && (text = fdopen(maps, "r")) != NULL) return read_mappings(text, from, visit, data);
  close(maps);
  return answer == NOT_ANSWERED ? -1 : 0;
}

uintptr_t waot_os_load_address(void *handle, const void *symbol) {
  (void)symbol;
  struct link_map *map = NULL;
  return dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? map->l_addr : 0;
}
#else
typedef int waot_os_linux_is_empty_here;
#endif
