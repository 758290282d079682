/* unwind_check.c - see unwind_check.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "unwind_check.h"
#include "../../runtime-c/machine.h"

#include <execinfo.h>
#include <unwind.h>

#ifdef WITH_LIBUNWIND
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#endif

#define MAGIC 0x5a5a0000

extern int call_with_magic(int (*callee)(void *, const void *, void *), void *a, const void *b, void *c, long step);
extern const char call_with_magic_end[];

struct unwind_seen seen;
void (*on_each_step)(ucontext_t *context);

struct walk {
  const void *called; /* the function of the frame before */
  bool caller, main;
  unsigned frames, entries; /* all; those of the entry trampoline */
  bool below;                /* an activation, or the host, has been met below compiled code */
  uintptr_t wasm[WAOT_TRACE_MAX]; /* the frames of compiled code above that: where they are, inside the instruction */
  uint32_t wasm_count;
};

static const int saved[] = { 3, 6, 12, 13, 14, 15 }; /* DWARF numbers of rbx, rbp, r12 .. r15 */
static const int saved_at[] = { REG_RBX, REG_RBP, REG_R12, REG_R13, REG_R14, REG_R15 };
#define SAVED (sizeof saved / sizeof saved[0])

/* The callee-saved registers as they were at the first instruction of the trampoline into wasm, and of the last one out of it: those of the caller, which its frame must have. */
static struct {
  long in[SAVED], out[SAVED];
} at_entry;

static bool is_way_out(const void *function) {
  const void *const *builtins = (const void *const *)(const void *)&waot_builtin_table;
  for (size_t i = 0; i < sizeof waot_builtin_table / sizeof *builtins; i++)
    if (function == builtins[i]) return true;
  return function == (const void *)waot_exit_text;
}

static void note_entry(const char *pc, const ucontext_t *context) {
  bool in = pc == waot_enter_text;
  if (!in && !is_way_out(pc)) return;
  for (size_t i = 0; i < SAVED; i++) (in ? at_entry.in : at_entry.out)[i] = context->uc_mcontext.gregs[saved_at[i]];
}

/* The registers of the frame that has called a trampoline. Of compiled code's, rbp is the fuel, which may have changed. */
static void check_caller_of(const void *function, struct _Unwind_Context *context) {
  bool in = function == (const void *)waot_enter_text;
  if (!in && !is_way_out(function)) return;
  for (size_t i = 0; i < SAVED; i++)
    if (in || saved[i] != 6) CHECK_EQUAL(_Unwind_GetGR(context, saved[i]), (in ? at_entry.in : at_entry.out)[i]);
}

bool is_in_function(const void *address, const void *function) { return _Unwind_FindEnclosingFunction((char *)(uintptr_t)address + 1) == function; }

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *data) {
  struct walk *walk = data;
  const char *ip = (const char *)_Unwind_GetIP(context);
  const void *function = _Unwind_FindEnclosingFunction((void *)ip);
  walk->frames++;
  check_caller_of(walk->called, context);
  walk->called = function;
  walk->entries += function == (void *)waot_enter_text; /* it never ends in a call */
  if (ip > (const char *)call_with_magic && ip < call_with_magic_end && !walk->caller) {
    walk->caller = true;
    for (size_t i = 0; i < SAVED; i++) CHECK_EQUAL(_Unwind_GetGR(context, saved[i]), MAGIC + saved[i]);
  }
  int before = 0; /* set where ip is the interrupted instruction, not a return address */
  ip = (const char *)_Unwind_GetIPInfo(context, &before);
  const char *at = ip - !before;
  if (!waot_code_contains(at)) walk->below |= walk->wasm_count > 0;
  else if (!walk->below && walk->wasm_count < WAOT_TRACE_MAX) walk->wasm[walk->wasm_count++] = (uintptr_t)at;
  /* In compiled code's frames rbp is the fuel: negative, or not far above 0, or as little below the least number, where code has taken back what it will pay. Never a frame pointer. */
  if (waot_code_contains(ip - 1)) CHECK((int64_t)_Unwind_GetGR(context, 6) < INT64_C(1) << 32 || (int64_t)_Unwind_GetGR(context, 6) > INT64_MAX - (INT64_C(1) << 20));
  if (_Unwind_FindEnclosingFunction((void *)(ip - 1)) == (void *)main) walk->main = true;
  return _URC_NO_REASON;
}

/* A wrong rule can find some older return address and go on from there to the right end. So: once compiled code has called something, the innermost frame in compiled code is that
 * call, at every instruction until it goes on; and the entry trampoline is called neither by compiled code nor, but for nested calls, by itself. */
static void check_place(const ucontext_t *context, const char *pc, const struct walk *walk) {
  static bool was_in_guest;
  static uintptr_t call;
  bool in_guest = waot_code_contains(pc), in_enter = _Unwind_FindEnclosingFunction((void *)(pc + 1)) == (void *)waot_enter_text;
  if (in_guest || in_enter) call = 0;
  else if (was_in_guest) call = *(const uintptr_t *)machine_sp(context) - 1;
  was_in_guest = in_guest;
  if (call) CHECK_EQUAL(walk->wasm_count > 0 ? walk->wasm[0] : 0, call);
  if (in_enter) CHECK_EQUAL(walk->wasm_count, 0);
  CHECK(walk->entries <= 1);
}

/* The runtime's own walk, from where a handler would begin it. */
static void check_own_walk(const ucontext_t *context, const struct walk *walk) {
  uintptr_t addresses[WAOT_TRACE_MAX];
  if (!waot_code_contains((void *)machine_pc(context))) return;
  uint32_t count = waot_walk(machine_place(context), waot_thread_current->top, addresses, WAOT_TRACE_MAX);
  if (count != walk->wasm_count) fprintf(stderr, "at a place where the runtime's own walk differs: %lx\n", (long)machine_pc(context));
  CHECK_EQUAL(count, walk->wasm_count);
  for (uint32_t i = 0; i < count; i++) CHECK_EQUAL(addresses[i], walk->wasm[i]);
  seen.own_walks++;
}

#ifdef WITH_LIBUNWIND
/* libunwind's view: the caller with its registers, and main. */
static void check_libunwind(const ucontext_t *context) {
  static const unw_regnum_t registers[SAVED] = { UNW_X86_64_RBX, UNW_X86_64_RBP, UNW_X86_64_R12, UNW_X86_64_R13, UNW_X86_64_R14, UNW_X86_64_R15 };
  ucontext_t copy = *context;
  unw_cursor_t cursor;
  CHECK_EQUAL(unw_init_local2(&cursor, &copy, UNW_INIT_SIGNAL_FRAME), 0);
  bool caller = false, in_main = false;
  do {
    unw_word_t ip, value;
    unw_proc_info_t info;
    CHECK_EQUAL(unw_get_reg(&cursor, UNW_REG_IP, &ip), 0);
    if (!caller && ip > (unw_word_t)call_with_magic && ip < (unw_word_t)call_with_magic_end) {
      caller = true;
      for (size_t i = 0; i < SAVED; i++) {
        CHECK_EQUAL(unw_get_reg(&cursor, registers[i], &value), 0);
        CHECK_EQUAL(value, MAGIC + saved[i]);
      }
    }
    in_main |= unw_get_proc_info(&cursor, &info) == 0 && info.start_ip == (unw_word_t)main;
  } while (unw_step(&cursor) > 0);
  CHECK(caller && in_main);
  seen.libunwind++;
}
#else
static void check_libunwind(const ucontext_t *context) { (void)context; }
#endif

static void on_step(int signal, siginfo_t *info, void *context_ptr) {
  (void)signal, (void)info;
  ucontext_t *context = context_ptr;
  const char *pc = (const char *)context->uc_mcontext.gregs[REG_RIP];
  if (pc >= (const char *)call_with_magic && pc < call_with_magic_end) return;
  seen.steps++;
  seen.in_guest += waot_code_contains(pc);
  seen.in_enter += is_in_function(pc, waot_enter_text);
  seen.in_exit += is_in_function(pc, waot_exit_text);
  struct walk walk = { .frames = 0 };
  note_entry(pc, context);
  _Unwind_Backtrace(visit, &walk);
  if (!walk.caller || !walk.main) {
    Dl_info info = { .dli_fname = "?" };
    dladdr(pc, &info);
    fprintf(stderr, "lost at %s+0x%lx (waot_enter%+ld, waot_exit%+ld): %u frames\n", info.dli_fname, (long)(pc - (const char *)info.dli_fbase), (long)(pc - waot_enter_text),
            (long)(pc - waot_exit_text), walk.frames);
    exit(1);
  }
  check_place(context, pc, &walk);
  check_own_walk(context, &walk);
  check_libunwind(context);
  if (on_each_step) on_each_step(context);
}

void install_stepper(void) {
  struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
  if (waot_tick_signal > 0) sigaddset(&action.sa_mask, waot_tick_signal);
  CHECK_EQUAL(sigaction(SIGTRAP, &action, NULL), 0);
  void *frames[4];
  backtrace(frames, 4); /* loads libgcc_s now, not in the handler */
#ifdef WITH_LIBUNWIND
  /* Its cache takes an instruction that is interrupted for the same as a return address, behind which other rules can begin. */
  unw_set_caching_policy(unw_local_addr_space, UNW_CACHE_NONE);
#endif
}

static int call(void *store, const void *func, void *args) { return waot_call(store, func, args); }

int call_checked(waot_store *store, const struct waot_func *func, waot_value *args, bool step) {
  int status = call_with_magic(call, store, func, args, step);
  CHECK(status != -1); /* a callee-saved register was lost */
  return status;
}
