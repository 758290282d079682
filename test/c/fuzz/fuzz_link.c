/*
 * fuzz_link.c - fuzz target: resolving imports, and the segments that instantiation then writes.
 *
 * The input decides on a descriptor (imports of every kind, element and data segments) and on the objects that are given for the imports. A second, independent reading of the
 * spec's rules (2.0: 3.4.10 matching, 4.5.4 instantiation) says what must come of it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../runtime-c/internal.h"

#define REQUIRE(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      abort(); \
    } \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TYPES = 4, MOST_IMPORTS = 8, MOST_SEGMENTS = 3, MOST_OF_A_KIND = MOST_IMPORTS + 1 };

/* --- what the input decides --------------------------------------------------------------------------------------- */

static const uint8_t *at, *end;
static uint8_t byte(void) { return at < end ? *at++ : 0; }
static uint32_t below(uint32_t bound) { return byte() % bound; }
static uint8_t valtype(void) {
  static const uint8_t all[] = {WAOT_VALTYPE_I32, WAOT_VALTYPE_I64, WAOT_VALTYPE_F32, WAOT_VALTYPE_F64, WAOT_VALTYPE_FUNCREF, WAOT_VALTYPE_EXTERNREF, WAOT_VALTYPE_I32};
  return all[below(sizeof all)];
}
/* Small numbers, and those near 2^32. */
static uint32_t number(void) {
  uint8_t kind = byte();
  if (kind < 160) return kind % 8;
  if (kind < 220) return (uint32_t)byte() << 8 | byte();
  return UINT32_MAX - below(8);
}

/* An object that is given, or a type that is expected, as plain data. */
struct external {
  uint32_t kind, type, valtype, is_mutable;
  uint64_t min, max;
};
static struct external draw_external(void) {
  struct external e = {.kind = below(4), .max = UINT64_MAX};
  e.type = below(TYPES);
  e.valtype = e.kind == WAOT_EXTERN_TABLE ? (below(2) ? WAOT_VALTYPE_FUNCREF : WAOT_VALTYPE_EXTERNREF) : e.kind == WAOT_EXTERN_GLOBAL ? valtype() : 0;
  e.is_mutable = e.kind == WAOT_EXTERN_GLOBAL ? below(2) : 0;
  if (e.kind == WAOT_EXTERN_TABLE || e.kind == WAOT_EXTERN_MEMORY) {
    e.min = below(6);
    if (below(2)) e.max = e.min + below(4);
  }
  return e;
}

static struct {
  uint8_t valtypes[TYPES][6];
  struct waot_type_desc types[TYPES];
  const waot_type *interned[TYPES];
  struct external expected[MOST_IMPORTS], given[MOST_IMPORTS];
  char names[MOST_IMPORTS][2][128];
  struct waot_import_desc imports[MOST_IMPORTS];
  struct waot_funcref_desc funcrefs[MOST_OF_A_KIND];
  struct waot_limits_desc tables[MOST_OF_A_KIND], memories[MOST_OF_A_KIND];
  struct waot_global_desc globals[MOST_OF_A_KIND];
  struct waot_const_expr offsets[2][MOST_SEGMENTS], items[8];
  struct waot_elem_desc elems[MOST_SEGMENTS];
  struct waot_data_desc datas[MOST_SEGMENTS];
  uint8_t bytes[256];
  struct waot_module_desc desc;
  struct waot_artifact artifact;
  waot_extern externs[MOST_IMPORTS];
  struct waot_func funcs[MOST_IMPORTS];
  waot_store *store;
} m;

static void draw_types(void) {
  for (uint32_t i = 0; i < TYPES; i++) {
    uint32_t params = below(4), results = below(3);
    for (uint32_t v = 0; v < params + results; v++) m.valtypes[i][v] = valtype();
    m.types[i] = (struct waot_type_desc){.is_final = 1, .supertype = UINT32_MAX, .param_count = params, .result_count = results, .valtypes = m.valtypes[i]};
    m.interned[i] = waot_type_intern(params, results, m.valtypes[i]);
    REQUIRE(m.interned[i] != NULL);
  }
}

/* Bytes of the input, or one of them again and again: long runs of anything must not break a message. */
static uint64_t draw_name(char *name) {
  uint64_t length = below(128);
  bool run = below(2) == 0;
  uint8_t first = byte();
  for (uint64_t i = 0; i < length; i++) name[i] = (char)(run ? first : byte());
  return length;
}

/* Enters an expected import into the descriptor, and the number of its kind into counts. */
static void describe(uint32_t i, uint32_t counts[4]) {
  const struct external *e = &m.expected[i];
  struct waot_limits_desc limits = {.min = e->min, .max = e->max, .flags = e->max == UINT64_MAX ? 0 : 1, .valtype = e->valtype};
  uint32_t index = counts[e->kind]++;
  m.imports[i] = (struct waot_import_desc){.module = m.names[i][0], .name = m.names[i][1], .kind = e->kind, .index = index};
  m.imports[i].module_len = draw_name(m.names[i][0]);
  m.imports[i].name_len = draw_name(m.names[i][1]);
  switch (e->kind) {
    case WAOT_EXTERN_FUNC: m.funcrefs[index] = (struct waot_funcref_desc){.type = e->type, .index = index}; break;
    case WAOT_EXTERN_TABLE: m.tables[index] = limits; break;
    case WAOT_EXTERN_MEMORY: m.memories[index] = limits; break;
    default: m.globals[index] = (struct waot_global_desc){.valtype = e->valtype, .is_mutable = e->is_mutable}; break;
  }
}

static void make_object(uint32_t i) {
  const struct external *g = &m.given[i];
  waot_value value = {.i64 = (int64_t)number()};
  waot_extern *out = &m.externs[i];
  out->kind = g->kind;
  switch (g->kind) {
    case WAOT_EXTERN_FUNC:
      m.funcs[i] = (struct waot_func){.type = (void *)(uintptr_t)m.interned[g->type]};
      out->func = &m.funcs[i];
      break;
    case WAOT_EXTERN_TABLE: out->table = waot_table_new(m.store, g->valtype, g->min, g->max, 0); break;
    case WAOT_EXTERN_MEMORY: out->memory = waot_memory_new(m.store, g->min, g->max, NULL); break;
    default: out->global = waot_global_new(m.store, g->valtype, (int)g->is_mutable, &value); break;
  }
  REQUIRE(out->any != NULL);
}

/* An offset: a constant, or an imported global's value where there is one. */
static struct waot_const_expr draw_offset(uint32_t globals) {
  if (globals > 0 && below(3) == 0) return (struct waot_const_expr){.kind = WAOT_CONST_GLOBAL_GET, .index = below(globals)};
  return (struct waot_const_expr){.kind = WAOT_CONST_VALUE, .bits_lo = number()};
}

static void draw_segments(const uint32_t counts[4]) {
  struct waot_module_desc *d = &m.desc;
  d->elem_count = counts[WAOT_EXTERN_TABLE] > 0 ? below(MOST_SEGMENTS + 1) : 0;
  d->data_count = counts[WAOT_EXTERN_MEMORY] > 0 ? below(MOST_SEGMENTS + 1) : 0;
  for (uint32_t i = 0; i < d->elem_count; i++) {
    m.offsets[0][i] = draw_offset(counts[WAOT_EXTERN_GLOBAL]);
    m.elems[i] = (struct waot_elem_desc){.mode = below(3), .table = below(counts[WAOT_EXTERN_TABLE]), .offset = &m.offsets[0][i], .items = m.items, .length = below(8)};
  }
  for (uint32_t i = 0; i < d->data_count; i++) {
    m.offsets[1][i] = draw_offset(counts[WAOT_EXTERN_GLOBAL]);
    m.datas[i] = (struct waot_data_desc){.mode = below(2), .memory = below(counts[WAOT_EXTERN_MEMORY]), .offset = &m.offsets[1][i], .bytes = m.bytes, .length = below(256)};
  }
}

static void draw_module(void) {
  struct waot_module_desc *d = &m.desc;
  uint32_t counts[4] = {0}, imports = below(MOST_IMPORTS + 1);
  draw_types();
  for (uint32_t i = 0; i < imports; i++) {
    m.expected[i] = draw_external();
    m.given[i] = below(4) ? m.expected[i] : draw_external(); /* mostly what is expected, or else few would get past the check */
    if (m.given[i].kind != WAOT_EXTERN_FUNC && below(4) == 0) m.given[i].min += 1;
    if (m.given[i].max < m.given[i].min) m.given[i].max = m.given[i].min;
    describe(i, counts);
    make_object(i);
  }
  uint32_t tables = counts[WAOT_EXTERN_TABLE], memories = counts[WAOT_EXTERN_MEMORY];
  if (below(2)) m.tables[counts[WAOT_EXTERN_TABLE]++] = (struct waot_limits_desc){.min = below(6), .valtype = WAOT_VALTYPE_FUNCREF};
  if (below(2)) m.memories[counts[WAOT_EXTERN_MEMORY]++] = (struct waot_limits_desc){.min = below(2)};
  draw_segments(counts);
  d->abi_version = WAOT_ABI_VERSION;
  d->type_count = TYPES, d->import_count = imports;
  d->imported_func_count = d->func_count = d->funcref_count = counts[WAOT_EXTERN_FUNC];
  d->imported_table_count = tables, d->table_count = counts[WAOT_EXTERN_TABLE];
  d->imported_memory_count = memories, d->memory_count = counts[WAOT_EXTERN_MEMORY];
  d->imported_global_count = d->global_count = counts[WAOT_EXTERN_GLOBAL];
  d->start = UINT32_MAX;
  d->memories_offset = sizeof(struct waot_vmctx);
  d->tables_offset = d->memories_offset + d->memory_count * sizeof(struct waot_vm_memory);
  d->globals_offset = (d->tables_offset + d->table_count * 8 + 15) / 16 * 16;
  d->imports_offset = d->globals_offset + d->global_count * WAOT_VALUE_SIZE;
  d->vmctx_size = d->imports_offset + d->func_count * sizeof(struct waot_vm_import);
  d->types = m.types, d->imports = m.imports, d->funcrefs = m.funcrefs, d->tables = m.tables, d->memories = m.memories, d->globals = m.globals;
  d->elems = m.elems, d->datas = m.datas;
}

/* --- what must come of it ----------------------------------------------------------------------------------------- */

static bool same_type(uint32_t a, uint32_t b) {
  const struct waot_type_desc *x = &m.types[a], *y = &m.types[b];
  return x->param_count == y->param_count && x->result_count == y->result_count && memcmp(x->valtypes, y->valtypes, x->param_count + x->result_count) == 0;
}

static bool fits_import(const struct external *given, const struct external *expected) {
  bool limits = given->min >= expected->min && (expected->max == UINT64_MAX || (given->max != UINT64_MAX && given->max <= expected->max));
  if (given->kind != expected->kind) return false;
  switch (given->kind) {
    case WAOT_EXTERN_FUNC: return same_type(given->type, expected->type);
    case WAOT_EXTERN_TABLE: return given->valtype == expected->valtype && limits;
    case WAOT_EXTERN_MEMORY: return limits;
    default: return given->valtype == expected->valtype && given->is_mutable == expected->is_mutable;
  }
}

/* Elements or bytes of the table or memory with this index. */
static uint64_t size_of(uint32_t kind, uint32_t index) {
  uint64_t unit = kind == WAOT_EXTERN_MEMORY ? 65536 : 1;
  for (uint32_t i = 0; i < m.desc.import_count; i++) {
    if (m.imports[i].kind == kind && m.imports[i].index == index) return m.given[i].min * unit;
  }
  return (kind == WAOT_EXTERN_MEMORY ? m.memories : m.tables)[index].min * unit;
}

static uint32_t offset_of(const struct waot_const_expr *expr) {
  if (expr->kind == WAOT_CONST_VALUE) return (uint32_t)expr->bits_lo;
  waot_value value = {.i64 = 0};
  for (uint32_t i = 0; i < m.desc.import_count; i++) {
    if (m.imports[i].kind == WAOT_EXTERN_GLOBAL && m.imports[i].index == expr->index) waot_global_get(m.externs[i].global, &value);
  }
  return (uint32_t)value.i32;
}

/* The status of the first segment that does not fit, or ok. In a wider type than anything here can overflow. */
static int expected_status(void) {
  for (uint32_t i = 0; i < m.desc.elem_count; i++) {
    const struct waot_elem_desc *elem = &m.elems[i];
    if (elem->mode == WAOT_SEGMENT_ACTIVE && (unsigned __int128)offset_of(elem->offset) + elem->length > size_of(WAOT_EXTERN_TABLE, elem->table)) return WAOT_STATUS_OUT_OF_BOUNDS_TABLE_ACCESS;
  }
  for (uint32_t i = 0; i < m.desc.data_count; i++) {
    const struct waot_data_desc *data = &m.datas[i];
    if (data->mode == WAOT_SEGMENT_ACTIVE && (unsigned __int128)offset_of(data->offset) + data->length > size_of(WAOT_EXTERN_MEMORY, data->memory)) return WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS;
  }
  return WAOT_STATUS_OK;
}

static void check_message(const waot_error *error) {
  size_t length = strnlen(error->message, sizeof error->message);
  REQUIRE(length > 0 && length < sizeof error->message);
  for (size_t i = 0; i < length; i++) REQUIRE((unsigned char)error->message[i] >= 0x20 && error->message[i] != 0x7f);
}

static void check_link(size_t given) {
  uint32_t bad = 0;
  while (bad < m.desc.import_count && bad < given && m.externs[bad].any != NULL && fits_import(&m.given[bad], &m.expected[bad])) bad++;
  waot_error error = {.kind = WAOT_ERROR_NONE};
  waot_instance *instance = waot_instance_new(m.store, &m.artifact, m.externs, given, NULL, &error);
  if (given > m.desc.import_count) {
    REQUIRE(instance == NULL && error.kind == WAOT_ERROR_ARGUMENT);
  } else if (bad < m.desc.import_count) {
    char start[32];
    snprintf(start, sizeof start, "import %u \"", bad);
    REQUIRE(instance == NULL && error.kind == WAOT_ERROR_LINK && strncmp(error.message, start, strlen(start)) == 0);
    check_message(&error);
  } else {
    int status = expected_status();
    REQUIRE((instance != NULL) == (status == WAOT_STATUS_OK));
    if (instance == NULL) REQUIRE(error.kind == WAOT_ERROR_TRAP && error.status == status);
    else REQUIRE(waot_instance_start(instance) == WAOT_STATUS_OK);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  at = data, end = data + size;
  memset(&m, 0, sizeof m);
  m.store = waot_store_new();
  REQUIRE(m.store != NULL);
  m.artifact.references = 1; /* ours: never given back, so it is never unloaded */
  m.artifact.desc = &m.desc;
  m.artifact.types = m.interned;
  draw_module();
  size_t given = m.desc.import_count;
  uint8_t odd = byte();
  if (odd < 8 && given > 0) m.externs[odd % given].any = NULL;
  else if (odd < 16 && given > 0) given--;
  else if (odd < 20 && given < MOST_IMPORTS) given++;
  check_link(given);
  waot_store_delete(m.store);
  REQUIRE(m.artifact.references == 1);
  return 0;
}
