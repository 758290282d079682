/*
 * signals.c - sharing signals with the rest of the process.
 *
 * A process has one action a signal, and everybody sets it without asking: V8 its wasm traps, libuv for process.on('SIGSEGV'), crash reporters. Ours must come first, because
 * only it knows compiled code's faults, and passes on all others. So the action that was there before is remembered, and when somebody has put another one over ours, that one is
 * remembered too and ours put back (waot_handlers_check, from the checker and the loader). A wasm fault that meets the foreign handler in between happens again and
 * again until ours is back, a period later or, if the checker dozes, ten.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "signals.h"
#include "thread.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define SIGNALS 4 /* SIGSEGV, SIGBUS, SIGILL (or SIGTRAP), the tick */
/* Different actions that can be remembered for a signal. Somebody who sets more keeps the last. */
#define ACTIONS 8
#define NIBBLE 4
/* Bytes of a sigset_t that mean something: Linux has 64 signals, however large the C library makes it. */
#define MASK_SIZE (sizeof(sigset_t) < sizeof(uint64_t) ? sizeof(sigset_t) : sizeof(uint64_t))

struct owned {
  int signal; /* 0: free */
  waot_handler *handler;
  struct sigaction actions[ACTIONS]; /* of others; never changed once they are in `order` */
  uint32_t count;
  uint64_t order; /* whose turn it is: indices in `actions` plus 1, four bits each, the next one lowest; read by handlers at any time */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of changes; handlers take none */
static struct owned signals[SIGNALS];
static int (*fault_filter)(int, void *, void *);
static int clash; /* the tick signal, when somebody put a handler over ours */

static struct owned *find(int signal) {
  for (int i = 0; i < SIGNALS; i++) {
    if (signals[i].signal == signal) return &signals[i];
  }
  return NULL;
}

static bool is_default(const struct sigaction *action) { return action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN; } /* whether or not SA_SIGINFO is set */
static bool is_ours(const struct owned *own, const struct sigaction *action) { return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == own->handler; }
static bool same(const struct sigaction *a, const struct sigaction *b) {
  return a->sa_handler == b->sa_handler && a->sa_flags == b->sa_flags && memcmp(&a->sa_mask, &b->sa_mask, MASK_SIZE) == 0;
}

/* `order` without an index. */
static uint64_t order_without(uint64_t order, uint64_t index) {
  uint64_t kept = 0;
  for (int at = 0; order; order >>= NIBBLE) {
    uint64_t one = order & 15;
    if (one == index) continue;
    kept |= one << at;
    at += NIBBLE;
  }
  return kept;
}

/* Puts an action first in the chain. False when there is no room for it. Under the lock, and before ours is put over it. */
static bool remember(struct owned *own, const struct sigaction *action) {
  uint32_t i = 0;
  while (i < own->count && !same(&own->actions[i], action)) i++;
  if (i == ACTIONS) return false;
  if (i == own->count) own->actions[own->count++] = *action;
  uint64_t order = order_without(own->order, i + 1);
  /* Somebody who restores the default has given up a handler of theirs, not that of whoever was there before us (in Node: V8's). */
  if (is_default(action) && own->order) {
    while (own->order >> NIBBLE) own->order >>= NIBBLE;
    order = own->order;
  } else {
    order = order << NIBBLE | (i + 1);
  }
  __atomic_store_n(&own->order, order, __ATOMIC_SEQ_CST);
  return true;
}

/* SA_ONSTACK: the stack may be what has run out. SA_RESTART: for a tick or a sent signal that meets a system call. The mask stays empty, so that a chained handler that
 * leaves by a plain longjmp leaves no more blocked than it would have without us; a tick inside a fault handler does nothing. */
static int install(const struct owned *own, struct sigaction *replaced) {
  struct sigaction action = { .sa_sigaction = own->handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
  sigemptyset(&action.sa_mask);
  return sigaction(own->signal, &action, replaced);
}

/* Under the lock. */
static void take(struct owned *own, const struct sigaction *now) {
  struct sigaction replaced;
  if (!remember(own, now)) return;
  install(own, &replaced);
  if (!is_ours(own, &replaced) && !same(&replaced, now)) remember(own, &replaced); /* somebody came in between */
}

int waot_signal_own(int signal, waot_handler *handler) {
  struct sigaction now;
  struct owned *own = find(0);
  if (!own || sigaction(signal, NULL, &now) != 0) return -1;
  pthread_mutex_lock(&lock);
  *own = (struct owned){ .signal = signal, .handler = handler };
  take(own, &now);
  pthread_mutex_unlock(&lock);
  return 0;
}

void waot_signal_disown(int signal) {
  pthread_mutex_lock(&lock);
  struct owned *own = find(signal);
  if (own) {
    sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
    own->signal = 0;
  }
  pthread_mutex_unlock(&lock);
}

void waot_handlers_check(void) {
  struct sigaction now;
  for (struct owned *own = signals; own < signals + SIGNALS; own++) {
    if (own->signal == 0 || sigaction(own->signal, NULL, &now) != 0 || is_ours(own, &now)) continue;
    pthread_mutex_lock(&lock);
    if (sigaction(own->signal, NULL, &now) == 0 && !is_ours(own, &now)) {
      if (own->signal == waot_tick_signal && !is_default(&now)) __atomic_store_n(&clash, own->signal, __ATOMIC_RELAXED);
      take(own, &now);
    }
    pthread_mutex_unlock(&lock);
  }
}

void waot_set_fault_filter(int (*filter)(int signal, void *info, void *context)) { __atomic_store_n(&fault_filter, filter, __ATOMIC_SEQ_CST); }

int waot_signal_clash(void) { return __atomic_exchange_n(&clash, 0, __ATOMIC_RELAXED); }

void waot_signals_fork_prepare(void) { pthread_mutex_lock(&lock); }
void waot_signals_fork_parent(void) { pthread_mutex_unlock(&lock); }
void waot_signals_fork_child(void) { pthread_mutex_init(&lock, NULL); }

/* What the kernel would have done had our handler not been there. */
static void pass_to_default(int signal, siginfo_t *info, bool ignored) {
  bool from_fault = waot_os_is_fault(info);
  if (ignored && !from_fault) return;
  struct sigaction action = { .sa_handler = SIG_DFL };
  sigaction(signal, &action, NULL);
  /* A fault happens again when we return (and the kernel doesn't let it be ignored). A sent signal must be sent again; it is blocked until we return. */
  if (!from_fault) waot_os_send_again(signal, info);
}

/* Whose turn it is, as an index in `order`. The chain that this thread is in: a handler of others that calls ours with the same context, from deeper in the stack, asks for the
 * next older one. */
static uint32_t turn(void *context, uintptr_t frame) {
  struct waot_passing passing = waot_os_passing();
  bool deeper = passing.context == context && frame < passing.frame;
  uintptr_t depth = deeper ? passing.depth + 1 : 0;
  waot_os_set_passing((struct waot_passing){ context, frame, depth });
  return (uint32_t)depth;
}

void waot_signal_pass_on(int signal, siginfo_t *info, void *context, bool ignore_default) {
  struct owned *own = find(signal);
  if (!own) return;
  int (*filter)(int, void *, void *) = __atomic_load_n(&fault_filter, __ATOMIC_SEQ_CST);
  if (signal == SIGSEGV && filter && filter(signal, info, context)) return;
  uint32_t depth = turn(context, (uintptr_t)__builtin_frame_address(0));
  uint64_t order = __atomic_load_n(&own->order, __ATOMIC_SEQ_CST);
  uint64_t index = depth < ACTIONS ? order >> (NIBBLE * depth) & 15 : 0;
  struct sigaction action = index ? own->actions[index - 1] : (struct sigaction){ .sa_handler = SIG_DFL };
  if (is_default(&action)) {
    if (!ignore_default) pass_to_default(signal, info, action.sa_handler == SIG_IGN);
    return;
  }
  if (action.sa_flags & SA_RESETHAND) __atomic_store_n(&own->order, order_without(order, index), __ATOMIC_SEQ_CST);
  /* In the mask that it asked for. The mask of the interrupted code comes back when we return, or by its siglongjmp. */
  pthread_sigmask(SIG_BLOCK, &action.sa_mask, NULL);
  if (action.sa_flags & SA_NODEFER) {
    sigset_t self;
    sigemptyset(&self);
    sigaddset(&self, signal);
    pthread_sigmask(SIG_UNBLOCK, &self, NULL);
  }
  if (action.sa_flags & SA_SIGINFO) action.sa_sigaction(signal, info, context);
  else action.sa_handler(signal);
  waot_os_set_passing((struct waot_passing){ NULL, 0, 0 }); /* returned: the next signal begins with the first */
}
