/* harness.c - see harness.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

void *guest_library;

static int register_text(struct dl_phdr_info *info, size_t size, void *path) {
  (void)size;
  if (strcmp(info->dlpi_name, path) != 0) return 0;
  struct waot_code_tables tables = { 0 };
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME) tables.unwind = (const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
  }
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X)) continue;
    const char *start = (const char *)info->dlpi_addr + segment->p_vaddr;
    CHECK_EQUAL(waot_code_register_tables(start, start + segment->p_memsz, &tables), 0);
  }
  return 1;
}

void guest_open(const char *path) {
  guest_library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!guest_library) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  CHECK_EQUAL(dl_iterate_phdr(register_text, (void *)path), 1);
}

/* What the builtins read of a descriptor: one passive segment of each kind. */
static const struct waot_data_desc data_segment = { .mode = WAOT_SEGMENT_PASSIVE, .bytes = "0123456789abcdef", .length = 16 };
static const struct waot_const_expr nulls[4] = { { .kind = WAOT_CONST_REF_NULL }, { .kind = WAOT_CONST_REF_NULL }, { .kind = WAOT_CONST_REF_NULL }, { .kind = WAOT_CONST_REF_NULL } };
static const struct waot_elem_desc element_segment = { .mode = WAOT_SEGMENT_PASSIVE, .items = (void *)(uintptr_t)nulls, .length = 4, .valtype = WAOT_VALTYPE_FUNCREF };
static const struct waot_module_desc descriptor = { .datas = (void *)(uintptr_t)&data_segment, .data_count = 1, .elems = (void *)(uintptr_t)&element_segment, .elem_count = 1 };

static void make_types(struct guest *g) {
  static const uint8_t code = WAOT_PACKED_I8, mutable = 1;
  static const uint32_t offset = 16;
  const struct waot_type_desc bytes = {
    .kind = WAOT_TYPE_ARRAY, .is_final = 1, .supertype = UINT32_MAX, .param_count = 1, .valtypes = (void *)(uintptr_t)&code, .size = 1, .mutables = (void *)(uintptr_t)&mutable,
    .offsets = (void *)(uintptr_t)&offset,
  };
  CHECK(waot_types_intern(&bytes, 1, g->types) == 0);
  g->artifact.types = g->types;
}

void guest_init(struct guest *g, waot_host_fn fn, void *data) {
  waot_error error;
  memset(g, 0, sizeof *g);
  const char *tick_us = getenv("WAOT_TEST_TICK_US");
  waot_config config = { .tick_us = tick_us ? (uint32_t)atoi(tick_us) : 0 };
  if (waot_init(tick_us ? &config : NULL, &error) != 0) {
    fprintf(stderr, "waot_init: %s\n", error.message);
    exit(1);
  }
  g->store = waot_store_new();
  g->memory = waot_memory_new(g->store, 1, 10, &error);
  CHECK(g->store && g->memory);
  g->memories[0] = g->memory;
  g->tables[0] = (struct waot_table_object *)waot_table_new(g->store, WAOT_VALTYPE_FUNCREF, 10, 1000, 0);
  CHECK(g->tables[0]);
  g->data_lengths[0] = data_segment.length;
  g->elem_lengths[0] = element_segment.length;
  make_types(g);
  g->instance.artifact = &g->artifact;
  g->instance.desc = &descriptor;
  g->instance.tables = g->tables;
  g->instance.data_lengths = g->data_lengths;
  g->instance.elem_lengths = g->elem_lengths;
  g->instance.elem_values = g->elem_values;
  g->instance.store = g->store;
  g->instance.memories = g->memories;
  g->instance.vmctx = &g->vmctx.head;
  g->vmctx.head.instance = &g->instance;
  g->vmctx.head.builtins = (void *)&waot_builtin_table;
  g->vmctx.memory.base = waot_memory_base(g->memory);
  g->vmctx.memory.memory = g->memory;
  g->host = (struct waot_host){ .exit = (void *)waot_exit, .fn = (void *)fn, .data = data };
  g->vmctx.import.code = dlsym(guest_library, "guest_host");
  g->vmctx.import.vmctx = &g->host;
}

void guest_free(struct guest *g) { waot_store_delete(g->store); }

struct guest *guest_new(waot_host_fn fn, void *data) {
  struct guest *g = malloc(sizeof *g);
  CHECK(g);
  guest_init(g, fn, data);
  return g;
}
waot_store *guest_store(struct guest *g) { return g->store; }
void guest_delete(struct guest *g) {
  guest_free(g);
  free(g);
}
int guest_thread_in_wasm(void) { return waot_thread_current != NULL && waot_thread_current->running != NULL; }

int guest_call(struct guest *g, const char *name, int64_t *value) {
  waot_value args[1] = { { .i64 = *value } };
  g->func = (struct waot_func){ .code = dlsym(guest_library, name), .vmctx = &g->vmctx, .enter = dlsym(guest_library, "guest_enter"), .instance = &g->instance };
  CHECK(g->func.code && g->func.enter);
  const struct waot_func func = g->func; /* nested calls overwrite g->func */
  int status = waot_call(g->store, &func, args);
  *value = args[0].i64;
  return status;
}

void guest_expect(struct guest *g, const char *name, int64_t argument, int64_t fuel, int status, int64_t consumed) {
  int64_t value = argument;
  CHECK_EQUAL(waot_store_set_fuel(g->store, fuel), 0);
  CHECK_EQUAL(guest_call(g, name, &value), status);
  CHECK_EQUAL(waot_store_consumed(g->store), consumed);
  CHECK_EQUAL(waot_thread_depth(), 0);
}

double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

bool is_skipped(const char *name) {
  const char *list = getenv("WAOT_TEST_SKIP");
  for (size_t length = strlen(name); list && *list; list += *list == ';') {
    size_t one = strcspn(list, ";");
    if (one == length && memcmp(list, name, one) == 0) return true;
    list += one;
  }
  return false;
}

int run_cases(int argc, char **argv, const struct test_case *cases, size_t count) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s guest.so [case...]\n", argv[0]);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  guest_open(argv[1]);
  for (size_t i = 0; i < count; i++) {
    bool wanted = argc == 2 && !is_skipped(cases[i].name);
    for (int a = 2; a < argc; a++) wanted |= strcmp(argv[a], cases[i].name) == 0;
    if (!wanted) continue;
    cases[i].run();
    printf("ok %s\n", cases[i].name);
  }
  return 0;
}
