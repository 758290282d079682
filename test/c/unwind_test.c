/*
 * unwind_test.c - an unwinder gets from every instruction of the trampolines and of compiled code to main, with all callee-saved registers right: each way through the trampolines is
 * single-stepped (unwind_check.h). A second check walks the frame-pointer chain from a host function.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "unwind_check.h"
#include "../../runtime-c/machine.h"

#include <execinfo.h>
#include <unwind.h>

/* Calls the guest function from where the callee-saved registers are known; with every instruction stepped, if wanted. */
static int call_guest(struct guest *g, const char *name, int64_t argument, bool step) {
  waot_value args[1] = { { .i64 = argument } };
  const struct waot_func func = { .code = dlsym(guest_library, name), .vmctx = &g->vmctx, .enter = dlsym(guest_library, "guest_enter"), .instance = &g->instance };
  return call_checked(g->store, &func, args, step);
}
static int stepped_call(struct guest *g, const char *name, int64_t argument) { return call_guest(g, name, argument, true); }

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

/* As if compiled code had put something into every callee-saved register, saved as they are in its own frames, before it traps: the landing has only what waot_enter saved. */
static void clobber_at_trap(ucontext_t *context) {
  static const int registers[] = { REG_RBX, REG_R12, REG_R13, REG_R14, REG_R15 };
  const uint8_t *pc = (const uint8_t *)machine_pc(context);
  if (!waot_code_contains(pc) || machine_trap_operand(pc) <= 0) return;
  for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++) context->uc_mcontext.gregs[registers[i]] = 0x0bad;
}

static void test_every_instruction(void) {
  struct guest g;
  int host_returns = 0;
  guest_init(&g, host_result, &host_returns);
  install_stepper();
  on_each_step = clobber_at_trap;
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
  on_each_step = NULL;
  CHECK(seen.in_guest > 500 && seen.in_enter > 300 && seen.in_exit > 80);
  guest_free(&g);
}

/* The same ways for somebody else to step: see test/unwind/step.py. */
static void test_for_debugger(void) {
  struct guest g;
  int host_returns = 0;
  guest_init(&g, host_result, &host_returns);
  CHECK_EQUAL(call_guest(&g, "guest_call_host", 1, false), WAOT_STATUS_OK);
  CHECK_EQUAL(call_guest(&g, "guest_fill", 10, false), WAOT_STATUS_OK);
  CHECK_EQUAL(call_guest(&g, "guest_grow", 0, false), WAOT_STATUS_OK);
  CHECK_EQUAL(call_guest(&g, "guest_recurse", 20, false), WAOT_STATUS_OK);
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
    CHECK(waot_checker_asleep != 1); /* woken; dozing it may be */
    __atomic_store_n(&waot_checker_asleep, 1, __ATOMIC_SEQ_CST);
    CHECK_EQUAL(stepped_call(&g, "guest_grow", 0), WAOT_STATUS_OK);
    /* A tick that never comes: both ways out wait for it, then give up. */
    __atomic_store_n(&waot_thread_current->tick_pending, 1, __ATOMIC_SEQ_CST);
    CHECK_EQUAL(stepped_call(&g, i == 0 ? "guest_call_host" : i == 1 ? "guest_grow" : "guest_empty", 0), WAOT_STATUS_OK);
    CHECK_EQUAL(waot_thread_current->tick_pending, 0);
  }
  guest_free(&g);
}

/* --- every builtin, and every way in which a boundary refuses ------------------------------------------------------- */

/* Something that happens at the first instruction of a function, called on the way. */
static struct {
  const void *at;
  void (*happen)(struct waot_store *store);
  struct waot_store *store;
} event;

static void watch_for_event(ucontext_t *context) {
  if ((const void *)machine_pc(context) != event.at) return;
  event.at = NULL;
  event.happen(event.store);
}

static void nothing(struct waot_store *store) { (void)store; }
static void fall_asleep(struct waot_store *store) {
  (void)store;
  __atomic_store_n(&waot_checker_asleep, 1, __ATOMIC_SEQ_CST);
}
static void exhaust(struct waot_store *store) { CHECK_EQUAL(waot_store_charge(store, INT64_C(1) << 20), 0); }
static void interrupt(struct waot_store *store) { waot_store_interrupt(store); }
static void lose_a_tick(struct waot_store *store) {
  (void)store;
  __atomic_store_n(&waot_thread_current->tick_pending, 1, __ATOMIC_SEQ_CST);
}
static void use_up_the_stack(struct waot_store *store) {
  (void)store;
  waot_thread_current->host_stack_limit = UINT64_MAX;
}

static const void *builtin_codes[] = {
#define CODE(name) (const void *)waot_builtin_##name,
  CODE(memory_size) CODE(memory_grow) CODE(memory_fill) CODE(memory_copy) CODE(memory_init) CODE(data_drop)
  CODE(table_grow) CODE(table_fill) CODE(table_copy) CODE(table_init) CODE(elem_drop)
  CODE(struct_new) CODE(array_new) CODE(array_new_data) CODE(array_new_elem) CODE(array_fill) CODE(array_copy) CODE(array_init_data) CODE(array_init_elem)
  CODE(any_convert_extern) CODE(extern_convert_any)
};
_Static_assert(sizeof builtin_codes == sizeof(struct waot_builtins), "every builtin");

/* Calls builtin `number` with an event at its beginning, or (`before`) before wasm is entered. */
static void step_builtin(struct guest *g, size_t number, void (*happen)(struct waot_store *), bool before, int status) {
  uint64_t stack_limit = waot_thread_current->host_stack_limit;
  waot_store_set_fuel(g->store, 1000);
  g->data_lengths[0] = 16, g->elem_lengths[0] = 4; /* they may have been dropped */
  event.at = before ? NULL : builtin_codes[number];
  event.happen = happen;
  event.store = g->store;
  if (before) happen(g->store);
  CHECK_EQUAL(stepped_call(g, "guest_builtin", (int64_t)number | 1 << 8), status);
  CHECK(event.at == NULL); /* the builtin has been reached */
  CHECK_EQUAL(waot_thread_depth(), 0);
  waot_store_clear_interrupt(g->store);
  waot_thread_current->host_stack_limit = stack_limit;
}

static void test_every_builtin(void) {
  struct guest g;
  guest_init(&g, host_sleepy, NULL);
  install_stepper();
  CHECK_EQUAL(call_guest(&g, "guest_empty", 0, false), WAOT_STATUS_OK); /* the thread has its record */
  on_each_step = watch_for_event;
  const char *only = getenv("WAOT_TEST_BUILTIN"); /* a number: that one only */
  for (size_t i = 0; i < sizeof builtin_codes / sizeof builtin_codes[0]; i++) {
    if (only && (size_t)atoi(only) != i) continue;
    bool whole_way = builtin_codes[i] != (const void *)waot_builtin_data_drop && builtin_codes[i] != (const void *)waot_builtin_elem_drop &&
                     builtin_codes[i] != (const void *)waot_builtin_extern_convert_any;
    step_builtin(&g, i, nothing, false, WAOT_STATUS_OK);
    step_builtin(&g, i, use_up_the_stack, true, WAOT_STATUS_CALL_STACK_EXHAUSTED);
    if (!whole_way) continue; /* its trampoline is left before it begins */
    step_builtin(&g, i, fall_asleep, false, WAOT_STATUS_OK);
    CHECK(waot_checker_asleep != 1); /* woken; dozing it may be */
    step_builtin(&g, i, lose_a_tick, true, WAOT_STATUS_OK);
    step_builtin(&g, i, exhaust, false, WAOT_STATUS_OUT_OF_FUEL);
    step_builtin(&g, i, interrupt, false, WAOT_STATUS_INTERRUPTED);
  }
  on_each_step = NULL;
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
  CHECK(is_in_function(record->return_address - 2, waot_exit_text));
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
    { "every instruction of the builtins' trampolines", test_every_builtin },
  };
  int result = run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
  if (result == 0) printf("ok %lu instructions unwound by libgcc, %lu by libunwind, %lu walks of our own\n", seen.steps, seen.libunwind, seen.own_walks);
  return result;
}
