/*
 * unwind_brk_test.c - unwind_test.c for AArch64, where a process cannot single-step itself: at every instruction of the trampolines and of compiled code, one after another, a
 * breakpoint is put, and every way through is run; at the breakpoint libgcc's unwinder walks up to a caller whose registers are known, and on to main.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <execinfo.h>
#include <stdatomic.h>
#include <ucontext.h>
#include <unwind.h>

#define MAGIC 0x5a5a0000
#define BREAKPOINT 0xd4224680u /* brk #0x1234 */

extern int call_with_magic(int (*callee)(void *, const void *, void *), void *a, const void *b, void *c);
extern const char call_with_magic_end[];
/* The first instruction of the trampolines, and that after the last but one, which is as the last. */
extern uint32_t enter_text[] __asm__("waot_enter"), end_text[] __asm__("waot_builtin_enter_extern_convert_any");
int main(int argc, char **argv);

static uint32_t *volatile place; /* of the breakpoint, until it has been met */
static uint32_t original;
static unsigned long met;

struct walk {
  bool caller, main;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *data) {
  struct walk *walk = data;
  const char *ip = (const char *)_Unwind_GetIP(context);
  if (ip > (const char *)call_with_magic && ip < call_with_magic_end && !walk->caller) {
    walk->caller = true;
    for (int reg = 19; reg <= 28; reg++) CHECK_EQUAL(_Unwind_GetGR(context, reg), MAGIC + reg);
    for (int reg = 72; reg <= 79; reg++) CHECK_EQUAL(_Unwind_GetGR(context, reg), MAGIC + reg);
  }
  if (_Unwind_FindEnclosingFunction((void *)(ip - 1)) == (void *)main) walk->main = true;
  return _URC_NO_REASON;
}

static void write_instruction(uint32_t *at, uint32_t instruction) {
  *at = instruction;
  __builtin___clear_cache((char *)at, (char *)(at + 1));
}

static void on_breakpoint(int signal, siginfo_t *info, void *context_ptr) {
  (void)signal, (void)info;
  const ucontext_t *context = context_ptr;
  CHECK((uintptr_t)place == context->uc_mcontext.pc && place != NULL);
  struct walk walk = { false, false };
  _Unwind_Backtrace(visit, &walk);
  if (!walk.caller || !walk.main) {
    fprintf(stderr, "lost at %p (waot_enter%+ld)\n", (void *)place, (long)((char *)place - (char *)enter_text));
    exit(1);
  }
  write_instruction(place, original);
  place = NULL;
  met++;
}

static int call(void *store, const void *func, void *args) { return waot_call(store, func, args); }

static int host_result(void *data, waot_value *args) {
  (void)args;
  return *(int *)data;
}

static const struct way {
  const char *name;
  int64_t argument, limit;
  int host_returns, status;
  bool asleep; /* the checker sleeps at the entry */
} ways[] = {
  { "guest_increment", 1, 100, 0, WAOT_STATUS_OK, true },
  { "guest_recurse", 5, 100, 0, WAOT_STATUS_OK, false },
  { "guest_trap", 3, 100, 0, WAOT_STATUS_INTEGER_OVERFLOW, false },
  { "guest_load", 65536, 100, 0, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS, false },
  { "guest_call_host", 1, 100, 0, WAOT_STATUS_OK, false },
  { "guest_call_host", 1, 100, WAOT_STATUS_HOST_ERROR, WAOT_STATUS_HOST_ERROR, false },
  { "guest_call_host", 1, 2, 0, WAOT_STATUS_OUT_OF_FUEL, false },
  { "guest_fill", 10, 100, 0, WAOT_STATUS_OK, false },
  { "guest_fill", 10, 3, 0, WAOT_STATUS_OUT_OF_FUEL, false },
  { "guest_grow", 0, 100, 0, WAOT_STATUS_OK, false },
};

static void run_way(struct guest *g, const struct way *way) {
  waot_value args[1] = { { .i64 = way->argument } };
  const struct waot_func func = { .code = dlsym(guest_library, way->name), .vmctx = &g->vmctx, .enter = dlsym(guest_library, "guest_enter"), .instance = &g->instance };
  waot_store_set_fuel(g->store, way->limit);
  *(int *)g->host.data = way->host_returns;
  if (way->asleep) __atomic_store_n(&waot_checker_asleep, 1, __ATOMIC_SEQ_CST);
  int status = call_with_magic(call, g->store, &func, args);
  CHECK_EQUAL(status, way->status); /* -1: a callee-saved register was lost */
  CHECK_EQUAL(waot_thread_depth(), 0);
}

static void make_writable(uint32_t *from, uint32_t *to) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)from & ~(page - 1);
  CHECK_EQUAL(mprotect((void *)start, ((uintptr_t)to - start + page - 1) & ~(page - 1), PROT_READ | PROT_WRITE | PROT_EXEC), 0);
}

/* Runs every way with a breakpoint at each instruction of a range. Returns at how many it was met. */
static unsigned long break_everywhere(struct guest *g, uint32_t *from, uint32_t *to) {
  unsigned long before = met;
  make_writable(from, to);
  for (uint32_t *at = from; at < to; at++) {
    unsigned long reached = met;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && met == reached; i++) {
      original = *at;
      place = at;
      write_instruction(at, BREAKPOINT);
      run_way(g, &ways[i]);
      write_instruction(at, original);
    }
  }
  return met - before;
}

static void test_every_instruction(void) {
  struct guest g;
  int host_returns = 0;
  struct sigaction action = { .sa_sigaction = on_breakpoint, .sa_flags = SA_SIGINFO };
  CHECK_EQUAL(sigaction(SIGTRAP, &action, NULL), 0); /* before the runtime's own */
  void *frames[4];
  backtrace(frames, 4); /* loads libgcc_s now, not in the handler */
  guest_init(&g, host_result, &host_returns);
  CHECK(break_everywhere(&g, enter_text, end_text) > 200);
  static const char *const functions[] = { "guest_enter", "guest_host", "guest_increment", "guest_recurse", "guest_trap", "guest_load", "guest_call_host", "guest_fill", "guest_grow" };
  unsigned long in_guest = 0;
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    uint32_t *start = dlsym(guest_library, functions[i]);
    Dl_info info;
    const ElfW(Sym) *symbol;
    CHECK(dladdr1(start, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol);
    in_guest += break_everywhere(&g, start, start + symbol->st_size / sizeof *start);
  }
  CHECK(in_guest > 75);
  printf("ok unwound at %lu instructions\n", met);
  guest_free(&g);
}

int main(int argc, char **argv) {
  static const struct test_case cases[] = { { "every instruction", test_every_instruction } };
  return run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
