/*
 * unwind_check.h - single-stepping (trap flag, SIGTRAP) with a look from every instruction: libgcc's unwinder walks from the interrupted context up to a caller whose registers are known,
 * and so does libunwind where it is compiled in (WITH_LIBUNWIND); the runtime's own walk of the wasm frames must find what libgcc finds. The first failure ends the program.
 */
#ifndef WAOT_TEST_UNWIND_CHECK_H
#define WAOT_TEST_UNWIND_CHECK_H

#include "../../runtime-c/backtrace.h"
#include "harness.h"

#include <ucontext.h>

/* What has been looked at. */
extern struct unwind_seen {
  unsigned long steps, in_guest, in_enter, in_exit, own_walks, libunwind;
} seen;

/* The trampolines. */
extern const char waot_enter_text[] __asm__("waot_enter"), waot_exit_text[] __asm__("waot_exit");

/* Called at each stepped instruction, after it has been looked at; it may change the context. NULL: nobody. */
extern void (*on_each_step)(ucontext_t *context);

/* Installs the handler; before that, loads what unwinders need. The tick signal is blocked in it, so that one that is sent there is delivered at the instruction that is looked at. */
void install_stepper(void);
/* waot_call from where the callee-saved registers are known and checked afterwards; with every instruction stepped, if wanted. */
int call_checked(waot_store *store, const struct waot_func *func, waot_value *args, bool step);
/* Whether an address is in a function of the program. */
bool is_in_function(const void *address, const void *function);

int main(int argc, char **argv);

#endif /* WAOT_TEST_UNWIND_CHECK_H */
