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
#include "backtrace.h"
#include "code_map.h"
#include "interrupt.h"
#include "machine.h"
#include "owed.h"
#include "signals.h"
#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

int waot_tick_signal;

static pid_t own_pid;

/* The signals that compiled code can raise. */
static const int fault_signals[] = { SIGSEGV, SIGBUS, MACHINE_TRAP_SIGNAL };
#define FAULT_SIGNALS (sizeof fault_signals / sizeof fault_signals[0])

/* The fuel register of interrupted compiled code, with what it owes. Exact, so that a register from which code has taken back what it will pay later (place_charges.cc) counts as what it is, even below the least
 * number; and the code is seen to be exhausted at once. */
static int64_t exact_fuel(const ucontext_t *context) { return (int64_t)((uint64_t)machine_fuel(context) + waot_owed((const void *)machine_pc(context))); }

/* Sends the interrupted compiled code to the landing of the newest activation, after its frames have been noted, and with all that it has consumed in the fuel register. */
static void redirect(ucontext_t *context, struct waot_thread *thread, int status, struct waot_code_place from) {
  machine_charge(context, waot_owed((const void *)machine_pc(context)));
  waot_trace_end(thread, from);
  machine_redirect(context, waot_landing, thread->top, status);
}

bool waot_thread_is_ending(const struct waot_thread_record *thread) {
  int (*poll)(void *) = __atomic_load_n(&thread->poll, __ATOMIC_RELAXED);
  return poll && poll(thread->poll_data);
}

/* Processor time of the calling thread, in ns. */
static int64_t used_ns(void) {
  struct timespec used;
  return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0 ? (int64_t)used.tv_sec * 1000000000 + used.tv_nsec : 0;
}

static void on_tick(int signal, siginfo_t *info, void *context_ptr) {
  int saved_errno = errno;
  struct waot_thread *thread = waot_thread_current;
  /* Only our checker's ticks for this very thread: not a signal that another process sent, nor one for a thread that has ended. */
  if (!waot_os_is_tick(info, thread, own_pid)) {
    waot_signal_pass_on(signal, info, context_ptr, true);
    return;
  }
  ucontext_t *context = context_ptr;
  /* Elsewhere - trampolines, builtins, memcpy - the fuel register may hold anything. The next tick, or the next boundary, will see it. */
  if (thread->top && waot_code_contains((void *)machine_pc(context))) {
    struct waot_thread_record *record = (struct waot_thread_record *)thread;
    struct waot_limits *limits = ((const struct waot_activation *)thread->top)->limits;
    if (waot_thread_is_ending(record)) waot_interrupt_add(limits, WAOT_INTERRUPT_ENDING);
    int64_t fuel = exact_fuel(context);
    if (fuel > 0) redirect(context, thread, WAOT_STATUS_OUT_OF_FUEL, machine_place(context));
    else if (__atomic_load_n(&limits->interrupt, __ATOMIC_RELAXED)) redirect(context, thread, WAOT_STATUS_INTERRUPTED, machine_place(context));
    else waot_pace_note(&record->pace, limits, fuel, waot_now_ns(), used_ns(), waot_checker_longest());
  }
  __atomic_store_n(&thread->tick_pending, 0, __ATOMIC_SEQ_CST);
  errno = saved_errno;
}

/* The status that the llvm.ubsantrap at pc names; 0 if there is another instruction, or no such status. */
static int decode_trap(const uint8_t *pc) {
  int operand = machine_trap_operand(pc);
  switch (operand) {
#define CASE(code, name, message) case code:
    WAOT_STATUS_TABLE(CASE)
#undef CASE
      return operand;
    default: return 0;
  }
}

/* The status with which a fault ends the activation, or 0 when it isn't ours. */
static int classify(int signal, const siginfo_t *info, const ucontext_t *context) {
  const struct waot_thread *thread = waot_thread_current;
  const uint8_t *pc = (const uint8_t *)machine_pc(context);
  if (!thread || !thread->top || !waot_code_contains(pc)) return 0;
  if (signal == MACHINE_TRAP_SIGNAL) return machine_is_trap_code(info->si_code) ? decode_trap(pc) : 0;
  /* Only these codes come with the address; kill(2) and the like can hit compiled code too. */
  bool has_address = signal == SIGSEGV ? info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR : info->si_code == BUS_ADRERR;
  if (!has_address) return 0;
  if (waot_guard_contains(info->si_addr)) return WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS;
  const struct waot_thread_record *record = (const struct waot_thread_record *)thread;
  return waot_thread_overflowed(record, (uintptr_t)info->si_addr, machine_sp(context)) ? WAOT_STATUS_CALL_STACK_EXHAUSTED : 0;
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  int saved_errno = errno;
  struct waot_thread *thread = waot_thread_current;
  int status = classify(signal, info, context);
  int refused = signal == MACHINE_TRAP_SIGNAL && machine_is_trap_code(info->si_code) ? machine_refused(context) : 0;
  if (status) redirect(context, thread, status, machine_place(context));
  else if (refused) redirect(context, thread, refused, machine_exit_place(machine_sp(context)));
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
