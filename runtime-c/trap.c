/*
 * trap.c - the signal handlers: ticks, traps of compiled code, and faults that are somebody else's.
 *
 * A fault is the runtime's only if its pc is in the text of an artifact, an activation is open, and it is one of the three kinds that compiled code
 * makes on purpose. The handler then redirects the interrupted context to the landing and returns; it never longjmps, so the kernel restores mask,
 * signal stack and registers. Any other fault goes to whoever else handles the signal, unchanged (signals.c).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "code_map.h"
#include "signals.h"
#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

int waot_tick_signal;

static pid_t own_pid;

/* The signals that compiled code can raise. */
static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGILL };
#define FAULT_SIGNALS (sizeof fault_signals / sizeof fault_signals[0])

/* Sends the interrupted compiled code to the landing of the newest activation. The fuel register stays as it is. */
static void redirect(ucontext_t *context, const struct waot_thread *thread, int status) {
  greg_t *regs = context->uc_mcontext.gregs;
  regs[REG_RIP] = (greg_t)(uintptr_t)waot_landing;
  regs[REG_RSP] = (greg_t)(uintptr_t)thread->top;
  regs[REG_RAX] = status;
}

/* Whether the host wants the thread to leave wasm for good. In compiled code only, where the thread is in the middle of nothing else. */
static bool is_ending(struct waot_thread *thread) {
  struct waot_thread_record *record = (struct waot_thread_record *)thread;
  int (*poll)(void *) = __atomic_load_n(&record->poll, __ATOMIC_RELAXED);
  return poll && poll(record->poll_data);
}

static void on_tick(int signal, siginfo_t *info, void *context_ptr) {
  int saved_errno = errno;
  struct waot_thread *thread = waot_thread_current;
  /* Only our checker's ticks for this very thread: not a signal that another process sent, nor one for a thread that has ended. */
  if (info->si_code != SI_QUEUE || info->si_pid != own_pid || !thread || info->si_value.sival_ptr != thread) {
    waot_signal_pass_on(signal, info, context_ptr, true);
    return;
  }
  ucontext_t *context = context_ptr;
  greg_t *regs = context->uc_mcontext.gregs;
  /* Elsewhere - trampolines, builtins, memcpy - the fuel register may hold anything. The next tick, or the next boundary, will see it. */
  if (thread->top && waot_code_contains((void *)regs[REG_RIP])) {
    struct waot_limits *limits = ((const struct waot_activation *)thread->top)->limits;
    if (is_ending(thread)) __atomic_fetch_or(&limits->interrupt, WAOT_INTERRUPT_ENDING, __ATOMIC_RELAXED);
    if (regs[REG_RBP] > 0) redirect(context, thread, WAOT_STATUS_OUT_OF_FUEL);
    else if (__atomic_load_n(&limits->interrupt, __ATOMIC_RELAXED)) redirect(context, thread, WAOT_STATUS_INTERRUPTED);
  }
  __atomic_store_n(&thread->tick_pending, 0, __ATOMIC_SEQ_CST);
  errno = saved_errno;
}

/* The operand of llvm.ubsantrap(status) as LLVM encodes it for x86-64: `ud1l status(%eax), %eax`, that is 67 0f b9 40 status. 0 if pc points to anything else. */
static int decode_ubsantrap(const uint8_t *pc) {
  enum { LENGTH = 5 };
  if (!waot_code_contains(pc + LENGTH - 1)) return 0;
  if (pc[0] != 0x67 || pc[1] != 0x0f || pc[2] != 0xb9 || pc[3] != 0x40) return 0;
  switch (pc[4]) {
#define CASE(code, name, message) case code:
    WAOT_STATUS_TABLE(CASE)
#undef CASE
      return pc[4];
    default: return 0;
  }
}

/* The status with which a fault ends the activation, or 0 when it isn't ours. */
static int classify(int signal, const siginfo_t *info, const ucontext_t *context) {
  const struct waot_thread *thread = waot_thread_current;
  const greg_t *regs = context->uc_mcontext.gregs;
  const uint8_t *pc = (const uint8_t *)regs[REG_RIP];
  if (!thread || !thread->top || !waot_code_contains(pc)) return 0;
  if (signal == SIGILL) return info->si_code == ILL_ILLOPN || info->si_code == ILL_ILLOPC ? decode_ubsantrap(pc) : 0;
  /* Only these codes come with the address; kill(2) and the like can hit compiled code too. */
  bool has_address = signal == SIGSEGV ? info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR : info->si_code == BUS_ADRERR;
  if (!has_address) return 0;
  if (waot_guard_contains(info->si_addr)) return WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS;
  const struct waot_thread_record *record = (const struct waot_thread_record *)thread;
  return waot_thread_overflowed(record, (uintptr_t)info->si_addr, (uintptr_t)regs[REG_RSP]) ? WAOT_STATUS_CALL_STACK_EXHAUSTED : 0;
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  int saved_errno = errno;
  int status = classify(signal, info, context);
  if (status) redirect(context, waot_thread_current, status);
  else waot_signal_pass_on(signal, info, context, false);
  errno = saved_errno;
}

int waot_handlers_install(int tick_signal) {
  if (tick_signal == waot_tick_signal) return 0; /* waot_init got this far before, and failed later */
  bool first = waot_tick_signal == 0;
  struct sigaction now;
  if (sigaction(tick_signal, NULL, &now) != 0 || now.sa_handler != SIG_DFL) return tick_signal;
  own_pid = getpid();
  if (!first) waot_signal_disown(waot_tick_signal);
  if (waot_signal_own(tick_signal, on_tick) != 0) return tick_signal;
  waot_tick_signal = tick_signal;
  for (size_t i = 0; first && i < FAULT_SIGNALS; i++) waot_signal_own(fault_signals[i], on_fault); /* cannot fail: the numbers are valid */
  return 0;
}

void waot_handlers_fork_child(void) {
  own_pid = getpid();
  waot_signals_fork_child();
}
