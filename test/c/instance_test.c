/* Stores, linking, instantiation, exports, fuel, memories, tables and globals, through the public API; builtins as compiled code sees them. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../../runtime-c/internal.h"
#include "fixture.h"

static waot_artifact *provider, *consumer;
static waot_error error;

static waot_artifact *open_fixture(const char *name, int module) {
  waot_artifact *artifact = waot_artifact_open(build_fixture(name, module, ""), &error);
  if (artifact == NULL) die(error.message);
  return artifact;
}

/* --- host functions ----------------------------------------------------------------------------------------------- */

/* What the host function saw, and what it shall do. */
static struct host {
  waot_store *store;
  int64_t consumed, charge, add;
  int calls, status;
} host;

static int host_double(void *data, waot_value *args) {
  struct host *self = data;
  self->calls++;
  self->consumed = waot_store_consumed(self->store);
  waot_store_charge(self->store, self->charge);
  waot_store_add_fuel(self->store, self->add);
  args[0].i32 *= 2;
  return self->status;
}

static waot_extern export_of(waot_instance *instance, const char *name) {
  waot_extern out = {.any = NULL};
  if (waot_instance_export_named(instance, name, &out) != 0) die(name);
  return out;
}

static int call(waot_instance *instance, const char *name, int32_t a, int32_t b, int32_t *result) {
  waot_value args[2] = {{.i32 = a}, {.i32 = b}};
  int status = waot_call(waot_instance_store(instance), export_of(instance, name).func, args);
  if (result != NULL) *result = args[0].i32;
  return status;
}

static waot_instance *new_provider(waot_store *store) {
  host = (struct host){.store = store};
  waot_extern imports[1] = {{.kind = WAOT_EXTERN_FUNC, .func = waot_func_new(store, provider, 2, host_double, &host)}};
  waot_instance *instance = waot_instance_new(store, provider, imports, 1, NULL, &error);
  if (instance == NULL) die(error.message);
  return instance;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void calls_and_fuel(void) {
  waot_store *store = waot_store_new();
  waot_instance *instance = new_provider(store);
  int32_t result = 0;
  CHECK("unlimited at first", waot_store_limit(store) == INT64_MAX && waot_store_consumed(store) == 0);
  CHECK("negative limit", waot_store_set_fuel(store, -1) == -1 && waot_store_add_fuel(store, -1) == -1 && waot_store_charge(store, -1) == -1);
  waot_store_set_fuel(store, 100);
  CHECK("add", call(instance, "add", 40, 2, &result) == WAOT_STATUS_OK && result == 42 && waot_store_consumed(store) == 3 && waot_store_remaining(store) == 97);
  CHECK("host call", call(instance, "call_double", 20, 0, &result) == WAOT_STATUS_OK && result == 41 && host.calls == 1);
  CHECK("exact at the host call and after", host.consumed == 13 && waot_store_consumed(store) == 14);
  CHECK("trap", call(instance, "divide_by_zero", 0, 0, NULL) == WAOT_STATUS_INTEGER_DIVIDE_BY_ZERO && waot_store_consumed(store) == 19);
  host.status = WAOT_STATUS_HOST_ERROR;
  CHECK("failing host", call(instance, "call_double", 20, 0, NULL) == WAOT_STATUS_HOST_ERROR && waot_store_consumed(store) == 29);
  host = (struct host){.store = store, .add = INT64_MAX, .charge = 7};
  CHECK("charging and refuelling host", call(instance, "call_double", 1, 0, NULL) == WAOT_STATUS_OK && waot_store_consumed(store) == 47 && waot_store_limit(store) == INT64_MAX);
  host = (struct host){.store = store, .charge = INT64_MAX};
  waot_store_set_fuel(store, 50);
  CHECK("host charges all", call(instance, "call_double", 1, 0, NULL) == WAOT_STATUS_OUT_OF_FUEL && waot_store_consumed(store) == 50 && waot_store_remaining(store) == 0);
  host = (struct host){.store = store};
  waot_store_set_fuel(store, 9);
  CHECK("exhausted before the host", call(instance, "call_double", 1, 0, NULL) == WAOT_STATUS_OUT_OF_FUEL && host.calls == 0);
  waot_store_set_fuel(store, 2);
  CHECK("exhausted at the return", call(instance, "add", 1, 1, NULL) == WAOT_STATUS_OUT_OF_FUEL && waot_store_consumed(store) == 2);
  waot_store_set_fuel(store, 4);
  CHECK("exhausted at the trap", call(instance, "divide_by_zero", 0, 0, NULL) == WAOT_STATUS_OUT_OF_FUEL);
  waot_store_set_fuel(store, 1000000);
  CHECK("for(;;)", call(instance, "spin", 0, 0, NULL) == WAOT_STATUS_OUT_OF_FUEL && waot_store_consumed(store) == 1000000);
  waot_store_add_fuel(store, 3);
  CHECK("goes on with more", call(instance, "add", 2, 3, &result) == WAOT_STATUS_OK && result == 5 && waot_store_consumed(store) == 1000003);
  waot_store_interrupt(store);
  CHECK("interrupted", call(instance, "add", 1, 1, NULL) == WAOT_STATUS_INTERRUPTED);
  waot_store_clear_interrupt(store);
  waot_store_set_fuel(store, 0);
  CHECK("no fuel at all", call(instance, "add", 1, 1, NULL) == WAOT_STATUS_OUT_OF_FUEL && waot_store_consumed(store) == 0);
  waot_store_delete(store);
}

static void exports_and_identity(void) {
  waot_store *store = waot_store_new();
  waot_instance *instance = new_provider(store);
  waot_extern once, twice;
  bool same = true;
  for (uint32_t i = 0; i < waot_artifact_export_count(provider); i++) {
    same &= waot_instance_export(instance, i, &once) == 0 && waot_instance_export(instance, i, &twice) == 0 && once.any == twice.any && once.any != NULL;
  }
  CHECK("the same object each time", same);
  CHECK("out of range", waot_instance_export(instance, 15, &once) == -1 && waot_instance_export_named(instance, "ad", &once) == -1);
  waot_func *add = export_of(instance, "add").func;
  waot_table *table = export_of(instance, "table").table;
  uint64_t ref = 1;
  waot_value value;
  CHECK("element segment", waot_table_get(table, 1, &ref) == 0 && ref == (uintptr_t)add && waot_table_get(table, 2, &ref) == 0 && ref == 0 && waot_table_get(table, 3, &ref) == -1);
  waot_global_get(export_of(instance, "func").global, &value);
  CHECK("ref.func", value.ref == (uintptr_t)add && waot_func_type(add) == waot_artifact_type(provider, 0));
  waot_global_get(export_of(instance, "variable").global, &value);
  CHECK("i64 global", value.i64 == -5 && waot_global_mutable(export_of(instance, "variable").global) == 1);
  waot_global *constant = export_of(instance, "constant").global;
  CHECK("constants stay", waot_global_set(constant, &value) == -1 && waot_global_valtype(constant) == WAOT_VALTYPE_I32);
  waot_memory *memory = export_of(instance, "memory").memory;
  CHECK("data segment", memcmp(waot_memory_base(memory) + 16, "hi", 3) == 0 && waot_memory_length(memory) == 65536 && waot_memory_max(memory) == 3);
  waot_value args[1] = {{.i32 = 21}};
  waot_func *imported = export_of(instance, "double").func;
  CHECK("a host function, re-exported, and called as such", waot_call(store, imported, args) == WAOT_STATUS_OK && args[0].i32 == 42 && host.calls == 1);
  CHECK("no host function of a type that is not imported", waot_func_new(store, provider, 1, host_double, &host) == NULL && waot_func_new(store, provider, 3, host_double, &host) == NULL);
  waot_store_delete(store);
}

static void consumer_shares(void) {
  waot_store *store = waot_store_new();
  waot_instance *from = new_provider(store);
  waot_extern imports[5] = {export_of(from, "add"), export_of(from, "table"), export_of(from, "memory"), export_of(from, "constant"), export_of(from, "variable")};
  waot_instance *instance = waot_instance_new(store, consumer, imports, 5, NULL, &error);
  if (instance == NULL) die(error.message);
  int32_t result = 0;
  uint64_t ref = 0;
  waot_value value;
  waot_store_set_fuel(store, 1000);
  CHECK("call across instances", call(instance, "triple", 7, 0, &result) == WAOT_STATUS_OK && result == 21 && waot_store_consumed(store) == 10);
  CHECK("shared global", call(instance, "bump", 50, 0, &result) == WAOT_STATUS_OK && result == 45);
  waot_global_get(imports[4].global, &value);
  CHECK("seen by its owner", value.i64 == 45 && export_of(instance, "variable").any == imports[4].any);
  waot_global_get(export_of(instance, "copy").global, &value);
  CHECK("global.get initialiser", value.i32 == 7);
  CHECK("data at global.get", memcmp(waot_memory_base(imports[2].memory) + 7, "consumer", 8) == 0);
  CHECK("re-exports", export_of(instance, "memory").any == imports[2].any && export_of(instance, "table").any == imports[1].any);
  waot_table_get(imports[1].table, 0, &ref);
  CHECK("an imported function keeps its identity", ref == (uintptr_t)imports[0].func);
  waot_table_get(imports[1].table, 2, &ref);
  CHECK("an own one in the shared table", ref == (uintptr_t)export_of(instance, "triple").func);
  waot_store_delete(store);
}

static void link_fails(const char *name, waot_store *store, const waot_extern *good, int replaced, waot_extern with, const char *text) {
  waot_extern imports[5];
  memcpy(imports, good, sizeof imports);
  imports[replaced] = with;
  error = (waot_error){0};
  check_error(name, waot_instance_new(store, consumer, imports, 5, NULL, &error) == NULL, &error, WAOT_ERROR_LINK, text);
}

static void link_errors(void) {
  waot_store *store = waot_store_new();
  waot_instance *from = new_provider(store);
  waot_extern good[5] = {export_of(from, "add"), export_of(from, "table"), export_of(from, "memory"), export_of(from, "constant"), export_of(from, "variable")};
  waot_value zero = {.i64 = 0};
  waot_extern missing = {.any = NULL}, memory = good[2];
  link_fails("missing memory", store, good, 2, missing, "import 2 \"env\" \"memory\" is missing: expected memory {min 1, max 3}");
  link_fails("missing global, odd name", store, good, 4, missing, "import 4 \"env\" \"vari\\22able\\0a\" is missing: expected global mut i64");
  link_fails("function type", store, good, 0, export_of(from, "double"), "import 0 \"env\" \"add\": expected func (i32, i32) -> i32, found func (i32) -> i32");
  link_fails("no results", store, good, 0, export_of(from, "spin"), "found func () -> ()");
  link_fails("kind", store, good, 0, memory, "expected func (i32, i32) -> i32, found memory {min 1, max 3}");
  link_fails("unknown kind", store, good, 0, (waot_extern){.kind = 9, .any = &zero}, "found something of no known kind");
  link_fails("table element type", store, good, 1, export_of(from, "extern_table"), "expected table funcref {min 3, max 10}, found table externref {min 2}");
  link_fails("table too small", store, good, 1, (waot_extern){.kind = WAOT_EXTERN_TABLE, .table = waot_table_new(store, WAOT_VALTYPE_FUNCREF, 2, 10, 0)}, "found table funcref {min 2, max 10}");
  link_fails("table without maximum", store, good, 1, (waot_extern){.kind = WAOT_EXTERN_TABLE, .table = waot_table_new(store, WAOT_VALTYPE_FUNCREF, 3, UINT64_MAX, 0)}, "found table funcref {min 3}");
  link_fails("memory with a larger maximum", store, good, 2, (waot_extern){.kind = WAOT_EXTERN_MEMORY, .memory = waot_memory_new(store, 1, 4, NULL)}, "found memory {min 1, max 4}");
  waot_extern grown = {.kind = WAOT_EXTERN_MEMORY, .memory = waot_memory_new(store, 0, 3, NULL)};
  link_fails("memory too small", store, good, 2, grown, "found memory {min 0, max 3}");
  waot_memory_grow(grown.memory, 2);
  waot_extern imports[5] = {good[0], good[1], grown, good[3], good[4]};
  CHECK("the current size counts", waot_instance_new(store, consumer, imports, 5, NULL, &error) != NULL);
  link_fails("global type", store, good, 3, good[4], "expected global i32, found global mut i64");
  link_fails("global mutability", store, good, 3, (waot_extern){.kind = WAOT_EXTERN_GLOBAL, .global = waot_global_new(store, WAOT_VALTYPE_I32, 1, &zero)}, "found global mut i32");
  error = (waot_error){0};
  check_error("too few", waot_instance_new(store, consumer, good, 4, NULL, &error) == NULL, &error, WAOT_ERROR_LINK, "import 4");
  check_error("too many", waot_instance_new(store, provider, good, 5, NULL, &error) == NULL, &error, WAOT_ERROR_ARGUMENT, "5 imports are given");
  waot_store_delete(store);
}

static void instantiation_traps(void) {
  waot_store *store = waot_store_new();
  waot_instance *from = new_provider(store);
  waot_artifact *escape = open_fixture("escape.so", ESCAPE), *table_trap = open_fixture("table_trap.so", TABLE_TRAP), *bad_start = open_fixture("start.so", BAD_START);
  waot_extern imports[2] = {export_of(from, "table"), export_of(from, "memory")};
  error = (waot_error){0};
  check_error("data segment does not fit", waot_instance_new(store, escape, imports, 2, NULL, &error) == NULL, &error, WAOT_ERROR_TRAP, "out of bounds memory access: data segment 1");
  CHECK("its status", error.status == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS);
  waot_artifact_close(escape); /* the store still needs it */
  CHECK("what was written before stays", memcmp(waot_memory_base(imports[1].memory) + 40, "kept", 4) == 0);
  uint64_t ref = 0;
  waot_value args[1] = {{.i32 = 58}};
  waot_table_get(imports[0].table, 0, &ref);
  CHECK("its function lives in the table", ref != 0 && waot_call(store, (waot_func *)(uintptr_t)ref, args) == WAOT_STATUS_OK && args[0].i32 == 42);
  error = (waot_error){0};
  check_error("element segment does not fit", waot_instance_new(store, table_trap, NULL, 0, NULL, &error) == NULL, &error, WAOT_ERROR_TRAP, "out of bounds table access: element segment 0");
  CHECK("its status", error.status == WAOT_STATUS_OUT_OF_BOUNDS_TABLE_ACCESS);
  for (int i = 0; i < reservations(20000); i++) { /* each reserves 8 GiB: 20,000 would not fit the address space, were they kept */
    if (waot_instance_new(store, table_trap, NULL, 0, NULL, &error) != NULL || error.kind != WAOT_ERROR_TRAP) break;
  }
  CHECK("failures leave nothing behind", error.kind == WAOT_ERROR_TRAP);
  waot_instance *instance = waot_instance_new(store, bad_start, NULL, 0, NULL, &error);
  waot_store_set_fuel(store, 100);
  CHECK("start function traps, metered", instance != NULL && waot_instance_start(instance) == WAOT_STATUS_UNREACHABLE && waot_store_consumed(store) == 6);
  CHECK("no start function", waot_instance_start(from) == WAOT_STATUS_OK);
  waot_artifact_close(table_trap);
  waot_artifact_close(bad_start);
  waot_store_delete(store);
}

static void memories(void) {
  waot_store *store = waot_store_new();
  waot_instance *instance = new_provider(store);
  waot_memory *memory = export_of(instance, "memory").memory;
  int32_t result = 0;
  CHECK("last byte", call(instance, "load", 65535, 0, &result) == WAOT_STATUS_OK && result == 0);
  CHECK("first byte outside", call(instance, "load", 65536, 0, NULL) == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS);
  CHECK("last index", call(instance, "load", -1, 0, NULL) == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS);
  CHECK("grow from wasm", call(instance, "grow", 1, 0, &result) == WAOT_STATUS_OK && result == 1 && waot_memory_length(memory) == 131072);
  CHECK("accessible now", call(instance, "load", 131071, 0, &result) == WAOT_STATUS_OK && result == 0);
  CHECK("not beyond the maximum", call(instance, "grow", 2, 0, &result) == WAOT_STATUS_OK && result == -1 && call(instance, "grow", -1, 0, &result) == WAOT_STATUS_OK && result == -1);
  CHECK("grow by the host", waot_memory_grow(memory, 1) == 2 && waot_memory_grow(memory, 1) == -1 && waot_memory_grow(memory, 0) == 3 && waot_memory_grow(memory, UINT64_MAX) == -1);
  CHECK("memory.init", call(instance, "init", 100, 0, NULL) == WAOT_STATUS_OK && memcmp(waot_memory_base(memory) + 100, "234", 4) == 0);
  CHECK("memory.init outside", call(instance, "init", 3 * 65536 - 2, 0, NULL) == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS);
  check_error("minimum above maximum", waot_memory_new(store, 2, 1, &error) == NULL, &error, WAOT_ERROR_MEMORY, "minimum of 2 pages and a maximum of 1");
  CHECK("too many pages", waot_memory_new(store, 65537, UINT64_MAX, &error) == NULL);
  waot_store_delete(store);
}

static void builtins(void) {
  waot_store *store = waot_store_new();
  waot_instance *instance = new_provider(store);
  void *vmctx = export_of(instance, "add").func->vmctx;
  uint8_t *base = waot_memory_base(export_of(instance, "memory").memory);
  waot_table *table = export_of(instance, "table").table, *externs = export_of(instance, "extern_table").table;
  const uint64_t huge = UINT64_MAX;
  CHECK("fill", waot_builtin_memory_fill(vmctx, 0, 65535, 0x1aa, 1) == 0 && base[65535] == 0xaa && waot_builtin_memory_fill(vmctx, 0, 65536, 0, 0) == 0);
  CHECK("fill outside writes nothing", waot_builtin_memory_fill(vmctx, 0, 65535, 1, 2) == 1 && base[65535] == 0xaa && waot_builtin_memory_fill(vmctx, 0, 65537, 0, 0) == 1);
  CHECK("fill, sums that overflow", waot_builtin_memory_fill(vmctx, 0, huge, 0, 2) == 1 && waot_builtin_memory_fill(vmctx, 0, 2, 0, huge) == 1);
  memcpy(base, "abcdef", 7);
  CHECK("overlapping copies", waot_builtin_memory_copy(vmctx, 0, 0, 2, 0, 4) == 0 && memcmp(base, "ababcd", 7) == 0 && waot_builtin_memory_copy(vmctx, 0, 0, 0, 2, 4) == 0 && memcmp(base, "abcdcd", 7) == 0);
  CHECK("copy outside", waot_builtin_memory_copy(vmctx, 0, 0, 0, 65535, 2) == 1 && waot_builtin_memory_copy(vmctx, 0, 0, 65535, 0, 2) == 1 && waot_builtin_memory_copy(vmctx, 0, 0, huge, huge, huge) == 1);
  CHECK("init", waot_builtin_memory_init(vmctx, 0, 1, 0, 8, 2) == 0 && memcmp(base, "89cd", 4) == 0 && waot_builtin_memory_init(vmctx, 0, 1, 0, 8, 3) == 1 && waot_builtin_memory_init(vmctx, 0, 1, 0, 11, 0) == 1);
  CHECK("active segments are dropped", waot_builtin_memory_init(vmctx, 0, 0, 0, 0, 1) == 1 && waot_builtin_memory_init(vmctx, 0, 0, 0, 0, 0) == 0);
  waot_builtin_data_drop(vmctx, 1);
  CHECK("data.drop", waot_builtin_memory_init(vmctx, 0, 1, 0, 0, 1) == 1 && waot_builtin_memory_init(vmctx, 0, 1, 0, 0, 0) == 0);
  CHECK("size and grow", waot_builtin_memory_size(vmctx, 0) == 1 && waot_builtin_memory_grow(vmctx, 0, huge) == -1 && waot_builtin_memory_grow(vmctx, 0, 0) == 1);

  uint64_t ref = 0;
  CHECK("table.init", waot_builtin_table_init(vmctx, 0, 1, 0, 0, 1) == 0 && waot_table_get(table, 0, &ref) == 0 && ref == (uintptr_t)export_of(instance, "call_double").func);
  CHECK("table.init outside", waot_builtin_table_init(vmctx, 0, 1, 3, 0, 1) == 1 && waot_builtin_table_init(vmctx, 0, 1, 0, 1, 1) == 1 && waot_builtin_table_init(vmctx, 0, 1, 3, 1, 0) == 0);
  CHECK("active and declarative ones are dropped", waot_builtin_table_init(vmctx, 0, 0, 0, 0, 1) == 1 && waot_builtin_table_init(vmctx, 0, 2, 0, 0, 1) == 1);
  waot_builtin_elem_drop(vmctx, 1);
  CHECK("elem.drop", waot_builtin_table_init(vmctx, 0, 1, 0, 0, 1) == 1);
  CHECK("table.copy", waot_builtin_table_copy(vmctx, 0, 0, 1, 0, 2) == 0 && waot_table_get(table, 1, &ref) == 0 && ref == (uintptr_t)export_of(instance, "call_double").func &&
                        waot_builtin_table_copy(vmctx, 0, 0, 2, 0, 2) == 1 && waot_builtin_table_copy(vmctx, 0, 0, huge, 0, 1) == 1);
  CHECK("table.grow", waot_builtin_table_grow(vmctx, 1, 77, 3) == 2 && waot_table_length(externs) == 5 && waot_table_get(externs, 4, &ref) == 0 && ref == 77 && waot_builtin_table_grow(vmctx, 0, 0, 8) == -1);
  CHECK("table.grow, limits", waot_table_grow(externs, huge, 0) == -1 && waot_table_grow(externs, 10000000 - 4, 0) == -1 && waot_table_grow(externs, 10000000 - 5, 9) == 5 && waot_table_grow(externs, 0, 0) == 10000000);
  CHECK("table.fill", waot_builtin_table_fill(vmctx, 1, 1, 5, 2) == 0 && waot_table_get(externs, 2, &ref) == 0 && ref == 5 && waot_builtin_table_fill(vmctx, 1, 10000000, 5, 1) == 1 &&
                        waot_builtin_table_fill(vmctx, 1, huge, 5, 2) == 1);
  CHECK("too large a table", waot_table_new(store, WAOT_VALTYPE_FUNCREF, 10000001, UINT64_MAX, 0) == NULL && waot_table_new(store, WAOT_VALTYPE_I32, 1, 1, 0) == NULL);
  waot_store_delete(store);
}

/* --- adopted memories --------------------------------------------------------------------------------------------- */

/* In place of libc's, for the runtime too: a kernel before 6.11 answers no questions about mappings, so that the runtime reads the text of /proc/self/maps. */
static bool is_old_kernel;
int ioctl(int file, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (!is_old_kernel) return (int)syscall(SYS_ioctl, file, request, argument);
  errno = ENOTTY;
  return -1;
}

static uint64_t adopted_length;
static int length_calls;
static uint64_t length_of(void *data) { return (void)data, length_calls++, adopted_length; }
static int64_t grow_by(void *data, uint64_t delta) {
  uint64_t pages = adopted_length / 65536;
  if (delta > 3 - pages || mprotect((char *)data + adopted_length, delta * 65536, PROT_READ | PROT_WRITE) != 0) return -1;
  adopted_length += delta * 65536;
  return (int64_t)pages;
}

static waot_memory *provide(void *data, waot_store *store, uint32_t index, uint64_t min, uint64_t max, waot_error *why) {
  waot_memory_ops ops = {length_of, grow_by, data};
  return index == 0 && min == 1 ? waot_memory_adopt(store, data, max, &ops, why) : NULL;
}

static void adopted_memories(void) {
  const size_t whole = (size_t)9 << 30;
  char *base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  waot_memory_ops ops = {length_of, grow_by, base};
  waot_store *store = waot_store_new();
  if (base == MAP_FAILED || mprotect(base, 65536, PROT_READ | PROT_WRITE) != 0) die("mmap");
  adopted_length = 65536;
  CHECK("adopted", waot_memory_adopt(store, base, 3, &ops, &error) != NULL);
  waot_store *other = waot_store_new();
  CHECK("adopted again, by another store", waot_memory_adopt(other, base, 3, &ops, &error) != NULL);
  waot_store_delete(other);
  host = (struct host){.store = store};
  waot_extern imports[1] = {{.kind = WAOT_EXTERN_FUNC, .func = waot_func_new(store, provider, 2, host_double, &host)}};
  waot_memory_provider maker = {provide, base};
  waot_instance *instance = waot_instance_new(store, provider, imports, 1, &maker, &error);
  if (instance == NULL) die(error.message);
  int32_t result = 0;
  CHECK("used by the instance", waot_memory_base(export_of(instance, "memory").memory) == (uint8_t *)base && memcmp(base + 16, "hi", 2) == 0);
  CHECK("its guard region", call(instance, "load", 65536, 0, NULL) == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS && call(instance, "load", -1, 0, NULL) == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS);
  length_calls = 0;
  CHECK("in bounds without asking", call(instance, "init", 0, 0, NULL) == WAOT_STATUS_OK && length_calls == 0);
  CHECK("out of bounds after asking", call(instance, "init", 65536, 0, NULL) == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS && length_calls == 1);
  grow_by(base, 1);
  CHECK("grown behind the runtime's back", call(instance, "init", 65536, 0, NULL) == WAOT_STATUS_OK && memcmp(base + 65536, "234", 3) == 0);
  CHECK("grown by wasm", call(instance, "grow", 1, 0, &result) == WAOT_STATUS_OK && result == 2 && call(instance, "grow", 1, 0, &result) == WAOT_STATUS_OK && result == -1);
  adopted_length = 65536;
  check_error("longer than it says", waot_memory_adopt(store, base, 3, &ops, &error) == NULL, &error, WAOT_ERROR_MEMORY, "behind its end is accessible");
  adopted_length = 4 * 65536;
  check_error("shorter than it says", waot_memory_adopt(store, base, 3, &ops, &error) == NULL, &error, WAOT_ERROR_MEMORY, "not all readable and writable");
  adopted_length = 3 * 65536;
  if (mprotect(base + ((size_t)8 << 30) - 4096, 4096, PROT_READ) != 0) die("mprotect");
  check_error("accessible at the very end", waot_memory_adopt(store, base, 3, &ops, &error) == NULL, &error, WAOT_ERROR_MEMORY, "behind its end is accessible");
  if (munmap(base + ((size_t)8 << 30) - 4096, 4096) != 0) die("munmap");
  check_error("a hole", waot_memory_adopt(store, base, 3, &ops, &error) == NULL, &error, WAOT_ERROR_MEMORY, "not reserved");
  check_error("no base", waot_memory_adopt(store, NULL, 3, &ops, &error) == NULL, &error, WAOT_ERROR_ARGUMENT, "base");
  adopted_length = 100;
  check_error("odd length", waot_memory_adopt(store, base, 3, &ops, &error) == NULL, &error, WAOT_ERROR_MEMORY, "whole number of pages");
  waot_store_delete(store);
  munmap(base, whole);
}

/* --- roots, threads, repetition ------------------------------------------------------------------------------------ */

static void add_root(void *data, uint64_t ref) { *(uint64_t *)data += ref; }

static void externref_roots(void) {
  waot_store *store = waot_store_new();
  waot_instance *instance = new_provider(store);
  waot_value value = {.ref = 1};
  uint64_t sum = 0;
  waot_global_set(export_of(instance, "extern").global, &value);
  waot_table_set(export_of(instance, "extern_table").table, 1, 20);
  value.ref = 300;
  waot_global_new(store, WAOT_VALTYPE_EXTERNREF, 0, &value);
  waot_table_new(store, WAOT_VALTYPE_EXTERNREF, 2, 2, 4000);
  waot_store_visit_externrefs(store, add_root, &sum);
  CHECK("externref roots", sum == 1 + 20 + 300 + 2 * 4000);
  waot_store_delete(store);
}

static void *open_and_run(void *path) {
  for (int i = 0; i < 20; i++) {
    waot_error mine = {0};
    waot_artifact *artifact = waot_artifact_open(path, &mine);
    waot_store *store = waot_store_new();
    waot_extern imports[1] = {{.kind = WAOT_EXTERN_FUNC, .func = artifact == NULL ? NULL : waot_func_new(store, artifact, 2, host_double, &host)}};
    waot_instance *instance = artifact == NULL ? NULL : waot_instance_new(store, artifact, imports, 1, NULL, &mine);
    int32_t result = 0;
    bool right = instance != NULL && call(instance, "add", 1, i, &result) == WAOT_STATUS_OK && result == i + 1;
    waot_artifact_close(artifact);
    waot_store_delete(store);
    if (!right) return mine.message[0] != '\0' ? "failed" : "wrong";
  }
  return NULL;
}

static void threads(void) {
  static char path[200];
  pthread_t ids[4];
  bool right = true;
  strcpy(path, in_directory("provider.so"));
  for (int i = 0; i < 4; i++) pthread_create(&ids[i], NULL, open_and_run, path);
  for (int i = 0; i < 4; i++) {
    void *failed = NULL;
    pthread_join(ids[i], &failed);
    right &= failed == NULL;
  }
  CHECK("four threads open, instantiate, run and close the same artifact", right);
}

static long resident_kilobytes(void) {
  long pages = 0, resident = 0;
  FILE *statm = fopen("/proc/self/statm", "r");
  if (statm == NULL || fscanf(statm, "%ld %ld", &pages, &resident) != 2) die("statm");
  fclose(statm);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void repetition(void) {
  long before = 0;
  bool right = true;
  for (int i = 0; i < reservations(3000); i++) {
    if (i == reservations(1000)) before = resident_kilobytes();
    waot_store *store = waot_store_new();
    waot_instance *instance = new_provider(store);
    waot_store_set_fuel(store, 12);
    right &= call(instance, "divide_by_zero", 0, 0, NULL) == WAOT_STATUS_INTEGER_DIVIDE_BY_ZERO && call(instance, "load", -1, 0, NULL) == WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS;
    right &= call(instance, "call_double", 1, 0, NULL) == WAOT_STATUS_OUT_OF_FUEL;
    waot_store_delete(store);
  }
  CHECK("3,000 stores that trap and run out", right);
#ifdef __SANITIZE_ADDRESS__
  const long allowed = 1024 * 1024; /* it keeps freed memory in quarantine */
#else
  const long allowed = 1024;
#endif
  CHECK("in flat memory", is_emulated() || resident_kilobytes() - before < allowed);
}

int main(void) {
  provider = open_fixture("provider.so", PROVIDER);
  consumer = open_fixture("consumer.so", CONSUMER);
  calls_and_fuel();
  exports_and_identity();
  consumer_shares();
  link_errors();
  instantiation_traps();
  memories();
  builtins();
  adopted_memories();
  is_old_kernel = true;
  adopted_memories();
  is_old_kernel = false;
  externref_roots();
  threads();
  repetition();
  waot_artifact_close(provider);
  waot_artifact_close(consumer);
  return failures != 0;
}
