/*
 * unwind_test.c - an unwinder gets from every instruction of the trampolines and of compiled code to main, with all callee-saved registers right.
 *
 * Each way through the trampolines is single-stepped (trap flag, SIGTRAP); at every instruction libgcc's unwinder walks from the interrupted context up to a caller whose registers
 * are known, and so does libunwind where it is compiled in (WITH_LIBUNWIND); the runtime's own walk of the wasm frames must find what libgcc finds. A second check walks the frame-pointer
 * chain from a host function.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../../runtime-c/backtrace.h"
#include "harness.h"

#include <execinfo.h>
#include <ucontext.h>
#include <unwind.h>

#ifdef WITH_LIBUNWIND
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#endif

#define MAGIC 0x5a5a0000

extern int call_with_magic(int (*callee)(void *, const void *, void *), void *a, const void *b, void *c, long step);
extern const char call_with_magic_end[];
extern const char waot_enter_text[] __asm__("waot_enter"), waot_exit_text[] __asm__("waot_exit"), waot_grow_text[] __asm__("waot_builtin_enter_memory_grow");
int main(int argc, char **argv);

static struct {
  unsigned long steps, in_guest, in_enter, in_exit, own_walks, libunwind;
} seen;

struct walk {
  bool caller, main;
  unsigned frames, entries; /* all; those of the entry trampoline */
  bool below;                /* an activation, or the host, has been met below compiled code */
  uintptr_t wasm[WAOT_TRACE_MAX]; /* the frames of compiled code above that: where they are, inside the instruction */
  uint32_t wasm_count;
};

static const int saved[] = { 3, 6, 12, 13, 14, 15 }; /* DWARF numbers of rbx, rbp, r12 .. r15 */
#define SAVED (sizeof saved / sizeof saved[0])

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *data) {
  struct walk *walk = data;
  const char *ip = (const char *)_Unwind_GetIP(context);
  walk->frames++;
  walk->entries += _Unwind_FindEnclosingFunction((void *)ip) == (void *)waot_enter_text; /* it never ends in a call */
  if (ip > (const char *)call_with_magic && ip < call_with_magic_end && !walk->caller) {
    walk->caller = true;
    for (size_t i = 0; i < SAVED; i++) CHECK_EQUAL(_Unwind_GetGR(context, saved[i]), MAGIC + saved[i]);
  }
  int before = 0; /* set where ip is the interrupted instruction, not a return address */
  ip = (const char *)_Unwind_GetIPInfo(context, &before);
  const char *at = ip - !before;
  if (!waot_code_contains(at)) walk->below |= walk->wasm_count > 0;
  else if (!walk->below && walk->wasm_count < WAOT_TRACE_MAX) walk->wasm[walk->wasm_count++] = (uintptr_t)at;
  /* In compiled code's frames rbp is the fuel: negative, or not far above 0. Never a frame pointer. */
  if (waot_code_contains(ip - 1)) CHECK((int64_t)_Unwind_GetGR(context, 6) < INT64_C(1) << 32);
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
  const ucontext_t *context = context_ptr;
  const char *pc = (const char *)context->uc_mcontext.gregs[REG_RIP];
  if (pc >= (const char *)call_with_magic && pc < call_with_magic_end) return;
  seen.steps++;
  seen.in_guest += waot_code_contains(pc);
  seen.in_enter += pc >= waot_enter_text && pc < waot_enter_text + 256;
  seen.in_exit += pc >= waot_exit_text && pc < waot_exit_text + 256;
  struct walk walk = { .frames = 0 };
  _Unwind_Backtrace(visit, &walk);
  if (!walk.caller || !walk.main) {
    fprintf(stderr, "lost at pc %p (waot_enter%+ld, waot_exit%+ld, waot_builtin_enter_memory_grow%+ld): %u frames\n", (const void *)pc, (long)(pc - waot_enter_text),
            (long)(pc - waot_exit_text), (long)(pc - waot_grow_text), walk.frames);
    exit(1);
  }
  check_place(context, pc, &walk);
  check_own_walk(context, &walk);
  check_libunwind(context);
}

static int call(void *store, const void *func, void *args) { return waot_call(store, func, args); }

/* Calls the guest function from where the callee-saved registers are known; with every instruction stepped, if wanted. */
static int call_guest(struct guest *g, const char *name, int64_t argument, long step) {
  waot_value args[1] = { { .i64 = argument } };
  const struct waot_func func = { .code = dlsym(guest_library, name), .vmctx = &g->vmctx, .enter = dlsym(guest_library, "guest_enter"), .instance = &g->instance };
  int status = call_with_magic(call, g->store, &func, args, step);
  CHECK(status != -1); /* a callee-saved register was lost */
  return status;
}
static int stepped_call(struct guest *g, const char *name, int64_t argument) { return call_guest(g, name, argument, 1); }

static int host_result(void *data, waot_value *args) {
  (void)args;
  return *(int *)data;
}

/* Exhausts the fuel, so that wasm is not returned to. */
static int host_charge(void *data, waot_value *args) {
  (void)args;
  CHECK_EQUAL(waot_store_charge(*(waot_store **)data, INT64_C(1) << 20), 0);
  return 0;
}

static void install_stepper(void) {
  struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
  CHECK_EQUAL(sigaction(SIGTRAP, &action, NULL), 0);
  void *frames[4];
  backtrace(frames, 4); /* loads libgcc_s now, not in the handler */
}

static void test_every_instruction(void) {
  struct guest g;
  int host_returns = 0;
  guest_init(&g, host_result, &host_returns);
  install_stepper();
  static const struct { const char *name; int64_t argument, limit; int host_returns, status; } ways[] = {
    { "guest_increment", 1, 100, 0, WAOT_STATUS_OK },
    { "guest_recurse", 20, 100, 0, WAOT_STATUS_OK },
    { "guest_trap", 3, 100, 0, WAOT_STATUS_INTEGER_OVERFLOW },
    { "guest_load", 65536, 100, 0, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS },
    { "guest_call_host", 1, 100, 0, WAOT_STATUS_OK },
    { "guest_call_host", 1, 100, WAOT_STATUS_HOST_ERROR, WAOT_STATUS_HOST_ERROR },
    { "guest_call_host", 1, 2, 0, WAOT_STATUS_OUT_OF_FUEL },
    { "guest_fill", 10, 100, 0, WAOT_STATUS_OK },
    { "guest_fill", 10, 3, 0, WAOT_STATUS_OUT_OF_FUEL },
    { "guest_grow", 0, 100, 0, WAOT_STATUS_OK },
    { "guest_grow", 0, 0, 0, WAOT_STATUS_OUT_OF_FUEL },
    { "guest_spin", 0, 500, 0, WAOT_STATUS_OUT_OF_FUEL },
  };
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    waot_store_set_fuel(g.store, ways[i].limit);
    host_returns = ways[i].host_returns;
    CHECK_EQUAL(stepped_call(&g, ways[i].name, ways[i].argument), ways[i].status);
    CHECK_EQUAL(waot_thread_depth(), 0);
  }
  struct guest charged;
  guest_init(&charged, host_charge, &charged.store);
  waot_store_set_fuel(charged.store, 100);
  CHECK_EQUAL(stepped_call(&charged, "guest_call_host", 1), WAOT_STATUS_OUT_OF_FUEL);
  guest_free(&charged);
  CHECK(seen.in_guest > 500 && seen.in_enter > 300 && seen.in_exit > 80);
  guest_free(&g);
}

/* The same ways for somebody else to step: see test/unwind/step.py. */
static void test_for_debugger(void) {
  struct guest g;
  int host_returns = 0;
  guest_init(&g, host_result, &host_returns);
  CHECK_EQUAL(call_guest(&g, "guest_call_host", 1, 0), WAOT_STATUS_OK);
  CHECK_EQUAL(call_guest(&g, "guest_fill", 10, 0), WAOT_STATUS_OK);
  CHECK_EQUAL(call_guest(&g, "guest_grow", 0, 0), WAOT_STATUS_OK);
  CHECK_EQUAL(call_guest(&g, "guest_recurse", 20, 0), WAOT_STATUS_OK);
  guest_free(&g);
}

/* The paths that are rarely taken: the checker sleeps at entry and at the host's return, and a tick is on its way when wasm is left. */
static int host_sleepy(void *data, waot_value *args) {
  (void)data, (void)args;
  __atomic_store_n(&waot_checker_asleep, 1, __ATOMIC_SEQ_CST);
  return 0;
}

static void test_slow_paths(void) {
  struct guest g;
  guest_init(&g, host_sleepy, NULL);
  install_stepper();
  waot_store_set_fuel(g.store, INT64_MAX);
  for (int i = 0; i < 3; i++) {
    __atomic_store_n(&waot_checker_asleep, 1, __ATOMIC_SEQ_CST);
    CHECK_EQUAL(stepped_call(&g, "guest_call_host", 1), WAOT_STATUS_OK);
    CHECK_EQUAL(waot_checker_asleep, 0);
    __atomic_store_n(&waot_checker_asleep, 1, __ATOMIC_SEQ_CST);
    CHECK_EQUAL(stepped_call(&g, "guest_grow", 0), WAOT_STATUS_OK);
    /* A tick that never comes: both ways out wait for it, then give up. */
    __atomic_store_n(&waot_thread_current->tick_pending, 1, __ATOMIC_SEQ_CST);
    CHECK_EQUAL(stepped_call(&g, i == 0 ? "guest_call_host" : i == 1 ? "guest_grow" : "guest_empty", 0), WAOT_STATUS_OK);
    CHECK_EQUAL(waot_thread_current->tick_pending, 0);
  }
  guest_free(&g);
}

/* --- the frame-pointer chain -------------------------------------------------------------------------------------- */

struct frame_record {
  const struct frame_record *next;
  const char *return_address;
};

__attribute__((optimize("no-omit-frame-pointer"), noinline)) static int host_walk(void *data, waot_value *args) {
  (void)args;
  const struct frame_record *record = __builtin_frame_address(0);
  CHECK(record->return_address > waot_exit_text && record->return_address < waot_exit_text + 256);
  record = record->next;
  CHECK(waot_code_contains(record->return_address));
  CHECK((uintptr_t)record % 8 == 0 && record->next > record);
  int found = 0;
  for (record = record->next; record && !found; record = record->next) found = _Unwind_FindEnclosingFunction((void *)(record->return_address - 1)) == (void *)data;
  CHECK(found);
  return 0;
}

/* And what backtrace(), a debugger's or a profiler's view, shows from the host, through wasm, up to main, nested. */
static int host_backtrace(void *data, waot_value *args) {
  struct guest *g = data;
  if (args[0].i64 > 0) {
    int64_t value = args[0].i64 - 1;
    CHECK_EQUAL(guest_call(g, "guest_call_host", &value), WAOT_STATUS_OK);
    return 0;
  }
  void *frames[64];
  int count = backtrace(frames, 64), in_guest = 0, in_main = 0;
  for (int i = 0; i < count; i++) {
    in_guest += waot_code_contains(frames[i]);
    in_main += _Unwind_FindEnclosingFunction((char *)frames[i] - 1) == (void *)main;
  }
  CHECK_EQUAL(in_guest, 3 * 3); /* entry adapter, function, host adapter, at each of three levels */
  CHECK_EQUAL(in_main, 1);
  return 0;
}

__attribute__((optimize("no-omit-frame-pointer"), noinline)) static void test_frame_chain(void) {
  struct guest g;
  guest_init(&g, host_walk, (void *)test_frame_chain);
  waot_value args[1] = { { .i64 = 1 } };
  const struct waot_func func = { .code = dlsym(guest_library, "guest_call_host"), .vmctx = &g.vmctx, .enter = dlsym(guest_library, "guest_enter"), .instance = &g.instance };
  CHECK_EQUAL(waot_call(g.store, &func, args), WAOT_STATUS_OK);
  guest_free(&g);
}

static void test_backtrace(void) {
  struct guest g;
  guest_init(&g, host_backtrace, &g);
  int64_t value = 2;
  CHECK_EQUAL(guest_call(&g, "guest_call_host", &value), WAOT_STATUS_OK);
  guest_free(&g);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = {
    { "backtrace through nested activations", test_backtrace },
    { "frame-pointer chain", test_frame_chain },
    { "for a debugger", test_for_debugger },
    { "every instruction", test_every_instruction },
    { "every instruction of the slow paths", test_slow_paths },
  };
  int result = run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
  if (result == 0) printf("ok %lu instructions unwound by libgcc, %lu by libunwind, %lu walks of our own\n", seen.steps, seen.libunwind, seen.own_walks);
  return result;
}
