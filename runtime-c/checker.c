/*
 * checker.c - the thread that ticks the threads in wasm. Once a period it looks which of them are to be ticked: all while a store is interrupted, those whose fuel could be gone soon (pace.c)
 * while a store has limited fuel, else all in every tenth period. When that is clear for some periods ahead it dozes for so long, and not at all while no thread is in wasm.
 *
 * Entering and leaving wasm take no lock and no fence. Two races with the checker are closed by a barrier that it makes all running threads pass (waot_os_barrier:
 * membarrier on Linux, reading their registers through Mach on macOS):
 *   going to sleep: asleep = 1; barrier; look at all `running` once more. An entry sets running, then reads asleep: one of the two sees the other's store.
 *   (Dozing has no barrier: an entry that is missed is seen when the doze ends, within the time that waot_pace_longest allows for.)
 *   ticking: tick_pending = 1; barrier; look at running once more; send, or take it back. A leaving thread clears running, then reads tick_pending, and
 *   waits while it is set. So no host code is ever interrupted by a tick (no EINTR), and at most one is pending for each thread.
 * Where there is no such barrier (some sandboxes) the checker never sleeps, and a tick can now and then reach host code, where it does nothing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "interrupt.h"
#include "thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

enum { CHECKER_AWAKE = 0, CHECKER_ASLEEP = 1, CHECKER_NONE = 2, CHECKER_DOZING = 3 };

/* Periods without a thread in wasm before the checker sleeps: a loop of short calls then pays for a wake-up at most once in so many periods. */
#define IDLE_PERIODS 100
/* While no store has limited fuel or is interrupted, only each such period has ticks. They find what there still is to find: a thread that is ending, and 2^63 units at the highest prices. Ticks that
 * are spared because there is fuel enough (pace.h) are no further apart, so these are found then as well. */
#define SPARED_PERIODS 10
/* Scans after a doze that was disturbed before there is another: a program of short calls is not to wake the checker by each. */
#define RESTLESS_SCANS 10
/* What a tick takes to end an activation, more or less: the barrier, the signal, on its way to another processor, its handler. */
#define TICK_TAKES_NS 25000
/* Periods without an answer after which a tick is taken for lost; a power of two. */
#define LOST_AFTER 16
/* Stack of the checker thread: it calls nothing deep, but thread-local storage of the whole process is carved out of it. */
#define CHECKER_STACK (UINT64_C(256) << 10)
/* Longest wait for a tick that was sent: it comes within microseconds unless somebody replaced the handler. */
#define TICK_WAIT_NS INT64_C(100000000)
#define TICK_WAIT_YIELDS 100
#define TICK_NAP_NS 20000

uint32_t waot_checker_asleep = CHECKER_NONE;

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t period_ns;
static bool have_barrier; /* the checker's only */

static uint32_t load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static void store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static const void *running(const struct waot_thread_record *t) { return __atomic_load_n(&t->head.running, __ATOMIC_SEQ_CST); }

int64_t waot_checker_longest(void) { return waot_pace_longest(period_ns); }

static void send_tick(struct waot_thread_record *t) {
  if (waot_os_send_tick(&t->os, waot_tick_signal, &t->head) != 0) store(&t->head.tick_pending, 0);
}

/* Whether a tick that has not been answered so far is to be sent again: a handler that somebody put over ours, a debugger or a sigwait may have had it. Ever more rarely,
 * for it may also just be waiting, on a thread that blocks the signal. */
static bool is_lost(struct waot_thread_record *t) {
  t->unanswered++;
  return t->unanswered >= LOST_AFTER && (t->unanswered & (t->unanswered - 1)) == 0;
}

/* When no store was interrupted or limited, the last time at which all were ticked. The checker's only. */
static int64_t all_ticked;

/* Which threads in wasm a scan ticks: none, all, or those that waot_pace_is_due says at this time. */
enum whom { NONE, ALL, DUE };
static enum whom choose(int64_t now) {
  if (waot_interrupt_is_any()) return ALL;
  if (waot_interrupt_is_any_limited()) return DUE;
  if (now < all_ticked + SPARED_PERIODS * period_ns) return NONE;
  all_ticked = now;
  return ALL;
}

/* What a scan has found. */
struct outlook {
  bool active;  /* there are threads in wasm */
  int64_t next; /* time by which the next tick has to come, if those threads just go on. 0: not known */
};

static struct outlook scan(void) {
  bool active = false, due = false;
  waot_handlers_check();
  waot_deadlines_check(); /* first: the tick of this very scan can then end what is late */
  int64_t now = waot_now_ns();
  enum whom whom = choose(now);
  int64_t next = whom == NONE ? all_ticked + (SPARED_PERIODS + 1) * period_ns : whom == DUE ? INT64_MAX : 0;
  pthread_mutex_lock(&waot_threads_lock); /* held over the sends: a linked thread is alive, so its name is its own */
  for (struct waot_thread_record *t = waot_threads; t; t = t->next) {
    t->tick_due = false;
    const void *limits = running(t);
    if (!limits) continue;
    active = true;
    if (whom == NONE) continue;
    if (load(&t->head.tick_pending)) {
      next = 0;
      if (!is_lost(t)) continue;
    } else {
      t->unanswered = 0;
      int64_t late = waot_pace_due(&t->pace, limits);
      if (whom == DUE && now + period_ns <= late) {
        if (late < next) next = late;
        continue;
      }
    }
    store(&t->head.tick_pending, 1);
    t->tick_due = due = true;
  }
  if (due) {
    next = 0; /* what the ticks find out is known in a period */
    if (have_barrier) waot_os_barrier(true);
    for (struct waot_thread_record *t = waot_threads; t; t = t->next) {
      if (!t->tick_due) continue;
      if (running(t)) send_tick(t);
      else store(&t->head.tick_pending, 0);
    }
  }
  pthread_mutex_unlock(&waot_threads_lock);
  return (struct outlook){ active, next };
}

/* Whether any thread is in wasm, after a barrier. */
static bool any_in_wasm(void) {
  bool active = false;
  pthread_mutex_lock(&waot_threads_lock);
  waot_os_barrier(false);
  for (struct waot_thread_record *t = waot_threads; t && !active; t = t->next) active = running(t) != NULL;
  pthread_mutex_unlock(&waot_threads_lock);
  return active;
}

/* Sleeps until a thread enters wasm. */
static void sleep_until_woken(void) {
  store(&waot_checker_asleep, CHECKER_ASLEEP);
  if (any_in_wasm()) store(&waot_checker_asleep, CHECKER_AWAKE);
  while (load(&waot_checker_asleep) == CHECKER_ASLEEP) waot_os_wait(&waot_checker_asleep, CHECKER_ASLEEP, -1);
}

/* Sleeps so long, in ns, or until a thread enters wasm, returns to it, or interrupts a store. Returns whether nobody did. */
static bool doze(int64_t time) {
  uint32_t expected = CHECKER_DOZING;
  store(&waot_checker_asleep, CHECKER_DOZING);
  if (!waot_interrupt_is_any()) waot_os_wait(&waot_checker_asleep, CHECKER_DOZING, time);
  return __atomic_compare_exchange_n(&waot_checker_asleep, &expected, CHECKER_AWAKE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* From one scan to the next. Where what a tick takes matters in a period, and a tick could find fuel gone, it is taken off, so that half of all exhausted activations are over within a good part of a period. */
static int64_t interval(void) {
  if (period_ns > 10 * TICK_TAKES_NS || !waot_interrupt_is_any_limited()) return period_ns;
  return period_ns - (TICK_TAKES_NS < period_ns / 4 ? TICK_TAKES_NS : period_ns / 4);
}

/* Sleeps until an interval after the last scan should have begun, `last`, so that neither its work nor waking up late makes intervals longer; a whole one when that is past. */
static void sleep_interval(int64_t *last) {
  int64_t now = waot_now_ns(), time = interval(), next = *last + time;
  if (next <= now) next = now + time;
  waot_os_sleep(next - now);
  *last = next;
}

/* Whether the checker has slept until the next scan that has something to do, several periods after that at `now` which has this outlook. */
static bool sleep_through(struct outlook outlook, int64_t now) {
  static unsigned restless; /* the checker's only */
  if (restless > 0) {
    restless--;
    return false;
  }
  int64_t time = outlook.next - now, longest = waot_pace_longest(period_ns);
  if (time > longest) time = longest;
  if (!outlook.active || time < 2 * period_ns || !have_barrier || waot_deadlines_are_any()) return false;
  if (doze(time - period_ns)) return true;
  restless = RESTLESS_SCANS;
  return false;
}

static void *checker_main(void *unused) {
  waot_os_begin_checker();
  /* Here, and not in the thread that starts: Linux takes 5 to 10 ms to register a process of several threads. Meanwhile wasm is loaded, and may run; the first tick comes when it would have come otherwise. */
  have_barrier = waot_os_barrier_init();
  struct outlook outlook = { false, 0 };
  int64_t last = waot_now_ns();
  for (int idle = 0;;) {
    if (!sleep_through(outlook, waot_now_ns())) sleep_interval(&last);
    outlook = scan();
    if (outlook.active) idle = 0;
    else if (++idle >= IDLE_PERIODS && have_barrier) {
      sleep_until_woken();
      waot_handlers_check(); /* at once: much may have happened meanwhile */
      idle = 0;
    }
  }
  return unused;
}

/* Under start_lock. */
static int start_thread(void) {
  pthread_attr_t attr;
  int error = pthread_attr_init(&attr);
  if (error) return error;
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, CHECKER_STACK); /* if that is too little here, the default stands */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: no handler of the process ever runs on the checker */
  pthread_t thread;
  error = pthread_create(&thread, &attr, checker_main, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (error == 0) store(&waot_checker_asleep, CHECKER_AWAKE);
  return error;
}

int waot_checker_start(uint32_t tick_us) {
  pthread_mutex_lock(&start_lock);
  period_ns = (int64_t)tick_us * 1000;
  waot_checker_rouse();
  int error = load(&waot_checker_asleep) == CHECKER_NONE ? start_thread() : 0;
  pthread_mutex_unlock(&start_lock);
  return error;
}

int waot_checker_wake(void) {
  int saved_errno = errno;
  int error = 0;
  uint32_t expected = load(&waot_checker_asleep) == CHECKER_DOZING ? CHECKER_DOZING : CHECKER_ASLEEP;
  if (__atomic_compare_exchange_n(&waot_checker_asleep, &expected, CHECKER_AWAKE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    waot_os_wake(&waot_checker_asleep);
  } else if (expected == CHECKER_NONE) {
    pthread_mutex_lock(&start_lock);
    if (load(&waot_checker_asleep) == CHECKER_NONE) error = start_thread();
    pthread_mutex_unlock(&start_lock);
  }
  errno = saved_errno;
  return error;
}

void waot_checker_rouse(void) {
  if (load(&waot_checker_asleep) == CHECKER_DOZING) waot_checker_wake();
}

void waot_tick_wait(struct waot_thread *thread) {
  int saved_errno = errno;
  /* Were the signal blocked here, the wait would never end. */
  sigset_t tick;
  sigemptyset(&tick);
  sigaddset(&tick, waot_tick_signal);
  pthread_sigmask(SIG_UNBLOCK, &tick, NULL);
  int64_t begin = waot_now_ns();
  for (int turn = 0; load(&thread->tick_pending); turn++) {
    if (turn < TICK_WAIT_YIELDS) sched_yield();
    else waot_os_sleep(TICK_NAP_NS); /* yielding lets no thread of lower priority run, and the checker can be one */
    if (waot_now_ns() - begin > TICK_WAIT_NS) store(&thread->tick_pending, 0);
  }
  errno = saved_errno;
}

void waot_checker_fork_prepare(void) {
  pthread_mutex_lock(&start_lock);
  pthread_mutex_lock(&waot_threads_lock);
}

void waot_checker_fork_parent(void) {
  pthread_mutex_unlock(&waot_threads_lock);
  pthread_mutex_unlock(&start_lock);
}

void waot_checker_fork_child(void) {
  pthread_mutex_init(&start_lock, NULL);
  waot_os_wait_fork_child();
  waot_threads_fork_child();
  store(&waot_checker_asleep, CHECKER_NONE); /* the next entry, or return to wasm, starts one */
}
