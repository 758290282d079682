/*
 * unwind_artifact_test.c - unwind_test.c for code of the compiler's own: `program artifact.so rounds function=status...` single-steps each exported function (no parameters, at most 16 results)
 * from a fresh store with plenty of fuel and expects the status, then again `rounds` times with a tick that finds the fuel exhausted, the store interrupted, or nothing, at some instruction of compiled
 * code. What is consumed, with what is owed, never falls from one instruction to the next. Imported functions return zeros; those named "throw" fail. With rounds below 0 nothing is stepped, for a debugger that does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "unwind_check.h"
#include "../../runtime-c/machine.h"
#include "../../runtime-c/owed.h"

#include <sys/syscall.h>

#define MOST_IMPORTS 8
#define FUEL (INT64_C(1) << 40)

static waot_artifact *artifact;

static int host(void *data, waot_value *args) {
  const waot_import_type *import = data;
  memset(args, 0, (import->type->result_count ? import->type->result_count : 1) * sizeof *args);
  return import->name_length == 5 && memcmp(import->name, "throw", 5) == 0 ? WAOT_STATUS_HOST_ERROR : WAOT_STATUS_OK;
}

static waot_instance *instantiate(waot_store *store) {
  static waot_import_type types[MOST_IMPORTS];
  waot_extern imports[MOST_IMPORTS];
  waot_error error;
  uint32_t count = waot_artifact_import_count(artifact);
  CHECK(count <= MOST_IMPORTS);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t type = 0;
    CHECK_EQUAL(waot_artifact_import(artifact, i, &types[i]), 0);
    while (waot_artifact_type(artifact, type) != types[i].type) type++;
    imports[i] = (waot_extern){ .kind = WAOT_EXTERN_FUNC, .func = waot_func_new(store, artifact, type, host, &types[i]) };
  }
  waot_instance *instance = waot_instance_new(store, artifact, imports, count, NULL, &error);
  if (!instance) fprintf(stderr, "%s\n", error.message);
  CHECK(instance);
  return instance;
}

/* --- ticks ---------------------------------------------------------------------------------------------------------- */

static struct {
  unsigned long passed, at; /* instructions of compiled code; the one at which the tick comes, 0: none */
  enum { EXHAUSTED, INTERRUPTED, NOTHING } finds;
  waot_store *store;
} tick;

static int64_t exact; /* the fuel of the last instruction, with what was owed there */

/* As the checker would: it is delivered when this handler returns, at the interrupted instruction. */
static void send_tick(void) {
  siginfo_t info = { .si_signo = waot_tick_signal, .si_code = SI_QUEUE };
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = waot_thread_current;
  __atomic_store_n(&waot_thread_current->tick_pending, 1, __ATOMIC_SEQ_CST);
  CHECK_EQUAL(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), waot_tick_signal, &info), 0);
}

static void count_and_tick(ucontext_t *context) {
  if (!waot_code_contains((void *)machine_pc(context))) return;
  int64_t fuel = (int64_t)((uint64_t)machine_fuel(context) + waot_owed((void *)machine_pc(context)));
  CHECK(fuel >= exact);
  exact = fuel;
  if (++tick.passed != tick.at) return;
  if (tick.finds == INTERRUPTED) waot_store_interrupt(tick.store);
  if (tick.finds == EXHAUSTED) context->uc_mcontext.gregs[REG_RBP] = 1;
  send_tick();
}

/* --- calls ---------------------------------------------------------------------------------------------------------- */

/* Calls an export in a new store. Returns the status. */
static int call_export(const char *name, bool step, int64_t limit) {
  static waot_value values[16];
  waot_extern export;
  waot_store *store = waot_store_new();
  waot_instance *instance = instantiate(store);
  CHECK_EQUAL(waot_instance_export_named(instance, name, &export), 0);
  CHECK(export.kind == WAOT_EXTERN_FUNC && waot_func_type(export.func)->param_count == 0 && waot_func_type(export.func)->result_count <= 16);
  waot_store_set_fuel(store, limit);
  exact = -limit;
  tick.store = store;
  tick.passed = 0;
  int status = call_checked(store, export.func, values, step);
  CHECK_EQUAL(waot_thread_depth(), 0);
  CHECK_EQUAL(waot_thread_current->tick_pending, 0);
  if (status != WAOT_STATUS_OUT_OF_FUEL) CHECK(waot_store_consumed(store) < FUEL); /* also without a limit */
  waot_store_delete(store);
  return status;
}

/* Ticks at `rounds` instructions of the run, spread evenly from a different start each time that a function is tried; all kinds. One that finds nothing comes without a limit: then the register begins one above the
 * least number, and what the code takes back before it has paid must not make it look exhausted. */
static void interrupt_everywhere(const char *name, int status, unsigned long instructions, int rounds) {
  for (int round = 0; round < rounds; round++) {
    tick.at = 1 + (instructions * (unsigned)round + instructions / 2) / (unsigned)rounds % instructions;
    tick.finds = (unsigned)round % 4 == 2 ? INTERRUPTED : (unsigned)round % 4 == 3 ? NOTHING : EXHAUSTED;
    int ended = call_export(name, true, tick.finds == NOTHING ? INT64_MAX : FUEL);
    /* An instruction that is about to trap is a place like any other; only beyond the last boundary nobody is interrupted any more. */
    CHECK_EQUAL(ended, tick.finds == INTERRUPTED ? WAOT_STATUS_INTERRUPTED : tick.finds == EXHAUSTED ? WAOT_STATUS_OUT_OF_FUEL : status);
  }
  tick.at = 0;
}

int main(int argc, char **argv) {
  CHECK(argc > 3);
  waot_error error;
  artifact = waot_artifact_open(argv[1], &error);
  if (!artifact) fprintf(stderr, "%s\n", error.message);
  CHECK(artifact);
  int rounds = atoi(argv[2]);
  install_stepper();
  on_each_step = count_and_tick;
  for (int i = 3; i < argc; i++) {
    char *status = strchr(argv[i], '=');
    CHECK(status);
    *status++ = 0;
    CHECK_EQUAL(call_export(argv[i], rounds >= 0, FUEL), atoi(status));
    if (rounds > 0) interrupt_everywhere(argv[i], atoi(status), tick.passed, rounds);
  }
  waot_artifact_close(artifact);
  printf("ok %lu instructions unwound by libgcc, %lu by libunwind, %lu walks of our own\n", seen.steps, seen.libunwind, seen.own_walks);
  return 0;
}
