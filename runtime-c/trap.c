/*
 * trap.c - the signal handlers: ticks, traps of compiled code, and faults that are somebody else's.
 *
 * A fault is the runtime's only if its pc is in the text of an artifact, an activation is open, and it is one of the three kinds that compiled code
 * makes on purpose. The handler then redirects the interrupted context to the landing and returns; it never longjmps, so the kernel restores mask,
 * signal stack and registers. Any other fault goes to the handler that was there before, unchanged.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "code_map.h"
#include "thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

int waot_tick_signal;

static pid_t own_pid;

/* The signals that compiled code can raise, and what handled them before. */
static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGILL };
#define FAULT_SIGNALS (sizeof fault_signals / sizeof fault_signals[0])
static struct sigaction before[FAULT_SIGNALS];

/* Sends the interrupted compiled code to the landing of the newest activation. The fuel register stays as it is. */
static void redirect(ucontext_t *context, const struct waot_thread *thread, int status) {
  greg_t *regs = context->uc_mcontext.gregs;
  regs[REG_RIP] = (greg_t)(uintptr_t)waot_landing;
  regs[REG_RSP] = (greg_t)(uintptr_t)thread->top;
  regs[REG_RAX] = status;
}

static void on_tick(int signal, siginfo_t *info, void *context_ptr) {
  (void)signal;
  struct waot_thread *thread = waot_thread_current;
  /* Only our checker's ticks for this very thread: not a signal that another process sent, nor one for a thread that has ended. */
  if (info->si_code != SI_QUEUE || info->si_pid != own_pid || !thread || info->si_value.sival_ptr != thread) return;
  ucontext_t *context = context_ptr;
  greg_t *regs = context->uc_mcontext.gregs;
  /* Elsewhere - trampolines, builtins, memcpy - the fuel register may hold anything. The next tick, or the next boundary, will see it. */
  if (thread->top && waot_code_contains((void *)regs[REG_RIP])) {
    const struct waot_limits *limits = ((const struct waot_activation *)thread->top)->limits;
    if (regs[REG_RBP] > 0) redirect(context, thread, WAOT_STATUS_OUT_OF_FUEL);
    else if (__atomic_load_n(&limits->interrupt, __ATOMIC_RELAXED)) redirect(context, thread, WAOT_STATUS_INTERRUPTED);
  }
  __atomic_store_n(&thread->tick_pending, 0, __ATOMIC_SEQ_CST);
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

/* What the kernel would have done had our handler not been there. */
static void chain_default(int signal, siginfo_t *info, const struct sigaction *old) {
  bool from_fault = info->si_code > 0; /* codes of kill, sigqueue and the like are not positive */
  if (old->sa_handler == SIG_IGN && !from_fault) return;
  struct sigaction action = { .sa_handler = SIG_DFL };
  sigaction(signal, &action, NULL);
  /* A fault happens again when we return (and the kernel doesn't let it be ignored). A sent signal must be sent again; it is blocked until we return. */
  if (!from_fault) syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), signal, info);
}

/* Hands the signal to the handler that was there before, in the mask that it asked for. The mask of the interrupted code comes back when we return, or by its siglongjmp. */
static void chain(int signal, siginfo_t *info, void *context, struct sigaction *slot) {
  struct sigaction old = *slot;
  if (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) { /* whether or not SA_SIGINFO is set */
    chain_default(signal, info, &old);
    return;
  }
  if (old.sa_flags & SA_RESETHAND) *slot = (struct sigaction){ .sa_handler = SIG_DFL };
  pthread_sigmask(SIG_BLOCK, &old.sa_mask, NULL);
  if (old.sa_flags & SA_NODEFER) {
    sigset_t self;
    sigemptyset(&self);
    sigaddset(&self, signal);
    pthread_sigmask(SIG_UNBLOCK, &self, NULL);
  }
  if (old.sa_flags & SA_SIGINFO) old.sa_sigaction(signal, info, context);
  else old.sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  int saved_errno = errno;
  int status = classify(signal, info, context);
  if (status) redirect(context, waot_thread_current, status);
  else {
    for (size_t i = 0; i < FAULT_SIGNALS; i++) {
      if (fault_signals[i] == signal) chain(signal, info, context, &before[i]);
    }
  }
  errno = saved_errno;
}

/* SA_ONSTACK: the stack may be what has run out. SA_RESTART: for a tick or a sent signal that meets a system call. The mask stays empty, so that a chained handler that
 * leaves by a plain longjmp leaves no more blocked than it would have without us; a tick inside a fault handler does nothing. */
static struct sigaction make_action(void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
  sigemptyset(&action.sa_mask);
  return action;
}

int waot_handlers_install(int tick_signal) {
  if (tick_signal == waot_tick_signal) return 0; /* waot_init got this far before, and failed later */
  bool first = waot_tick_signal == 0;
  struct sigaction now;
  if (sigaction(tick_signal, NULL, &now) != 0 || now.sa_handler != SIG_DFL) return tick_signal;
  own_pid = getpid();
  struct sigaction tick = make_action(on_tick);
  if (sigaction(tick_signal, &tick, NULL) != 0) return tick_signal;
  if (!first) sigaction(waot_tick_signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
  waot_tick_signal = tick_signal;
  struct sigaction fault = make_action(on_fault);
  for (size_t i = 0; first && i < FAULT_SIGNALS; i++) {
    /* In this order, so that a fault right after the second line finds the old action. Neither can fail: the numbers are valid. */
    sigaction(fault_signals[i], NULL, &before[i]);
    sigaction(fault_signals[i], &fault, NULL);
  }
  return 0;
}

void waot_handlers_fork_child(void) { own_pid = getpid(); }
