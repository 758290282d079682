/* instance.c - instantiation (spec 2.0, 4.5.4), and the exports of an instance. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static struct waot_vm_memory *vm_memories(const waot_instance *instance) { return (void *)((char *)instance->vmctx + instance->desc->memories_offset); }
static void **vm_tables(const waot_instance *instance) { return (void *)((char *)instance->vmctx + instance->desc->tables_offset); }
static waot_value *vm_globals(const waot_instance *instance) { return (void *)((char *)instance->vmctx + instance->desc->globals_offset); }
static struct waot_vm_import *vm_imports(const waot_instance *instance) { return (void *)((char *)instance->vmctx + instance->desc->imports_offset); }

/* calloc that gives memory for a count of 0 too, so that NULL always means failure. */
static void *new_array(size_t count, size_t size) { return calloc(count > 0 ? count : 1, size); }

/* Zeroed memory with the alignment of waot_value. */
static void *new_aligned(size_t size) {
  size_t rounded = (size + 63) & ~(size_t)63;
  void *memory = aligned_alloc(64, rounded > 0 ? rounded : 64);
  if (memory != NULL) memset(memory, 0, rounded > 0 ? rounded : 64);
  return memory;
}

void waot_instance_free(waot_instance *instance) {
  free(instance->vmctx);
  free(instance->funcrefs);
  free(instance->funcs);
  free(instance->memories);
  free(instance->tables);
  free(instance->globals);
  free(instance->own_globals);
  free(instance->data_lengths);
  free(instance->elem_lengths);
  for (uint32_t i = 0; instance->elem_values != NULL && i < instance->desc->elem_count; i++) free(instance->elem_values[i]);
  free(instance->elem_values);
  if (instance->artifact != NULL) waot_artifact_close(instance->artifact); /* last: desc is in it */
  free(instance);
}

/* An instance with all its arrays, empty, and a reference to the artifact; not yet in the store. NULL when out of memory. */
static waot_instance *allocate(waot_store *store, waot_artifact *artifact) {
  const struct waot_module_desc *desc = artifact->desc;
  waot_instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) return NULL;
  waot_artifact_retain(artifact);
  instance->store = store;
  instance->artifact = artifact;
  instance->desc = desc;
  instance->vmctx = new_aligned(desc->vmctx_size);
  instance->funcrefs = new_array(desc->funcref_count, sizeof *instance->funcrefs);
  instance->funcs = new_array(desc->funcref_count, sizeof *instance->funcs);
  instance->memories = new_array(desc->memory_count, sizeof *instance->memories);
  instance->tables = new_array(desc->table_count, sizeof *instance->tables);
  instance->globals = new_array(desc->global_count, sizeof *instance->globals);
  instance->own_globals = new_aligned((desc->global_count - desc->imported_global_count) * sizeof *instance->own_globals);
  instance->data_lengths = new_array(desc->data_count, sizeof *instance->data_lengths);
  instance->elem_lengths = new_array(desc->elem_count, sizeof *instance->elem_lengths);
  instance->elem_values = new_array(desc->elem_count, sizeof *instance->elem_values);
  if (instance->vmctx != NULL && instance->funcrefs != NULL && instance->funcs != NULL && instance->memories != NULL && instance->tables != NULL &&
      instance->globals != NULL && instance->own_globals != NULL && instance->data_lengths != NULL && instance->elem_lengths != NULL && instance->elem_values != NULL) {
    return instance;
  }
  waot_instance_free(instance);
  return NULL;
}

/* Enters the imports, which are of the right types, into the index spaces. */
static void place_imports(waot_instance *instance, const waot_extern *imports) {
  const struct waot_import_desc *descs = instance->desc->imports;
  for (uint32_t i = 0; i < instance->desc->import_count; i++) {
    uint32_t index = descs[i].index;
    switch (descs[i].kind) {
      case WAOT_EXTERN_FUNC:
        instance->funcrefs[index] = imports[i].func;
        vm_imports(instance)[index] = (struct waot_vm_import){imports[i].func->code, imports[i].func->vmctx};
        break;
      case WAOT_EXTERN_TABLE: instance->tables[index] = (struct waot_table_object *)imports[i].table; break;
      case WAOT_EXTERN_MEMORY: instance->memories[index] = imports[i].memory; break;
      default: instance->globals[index] = imports[i].global; break;
    }
  }
}

/* The waot_funcs of the functions that the module defines and that can be referenced. */
static void make_funcs(waot_instance *instance) {
  const struct waot_module_desc *desc = instance->desc;
  const struct waot_funcref_desc *funcrefs = instance->artifact->funcrefs;
  const struct waot_type_desc *types = desc->types;
  for (uint32_t i = desc->imported_func_count; i < desc->funcref_count; i++) {
    instance->funcs[i] = (struct waot_func){
      .code = funcrefs[i].code, .vmctx = instance->vmctx, .type = (void *)(uintptr_t)instance->artifact->types[funcrefs[i].type],
      .enter = types[funcrefs[i].type].enter, .instance = instance, .index = funcrefs[i].index, .tail_code = funcrefs[i].tail_code,
    };
    instance->funcrefs[i] = &instance->funcs[i];
  }
}

/* For constant expressions that make objects. */
static int refuse_exhausted(waot_error *error) {
  return waot_error_set(error, WAOT_ERROR_TRAP, WAOT_STATUS_HEAP_EXHAUSTED, "%s: by a constant expression", waot_status_message(WAOT_STATUS_HEAP_EXHAUSTED));
}

/* Makes the tables and memories that the module defines. */
static int make_tables_and_memories(waot_instance *instance, const waot_memory_provider *provider, waot_error *error) {
  const struct waot_module_desc *desc = instance->desc;
  const struct waot_limits_desc *tables = desc->tables, *memories = desc->memories;
  for (uint32_t i = desc->imported_table_count; i < desc->table_count; i++) {
    uint64_t max = (tables[i].flags & 1) != 0 ? tables[i].max : UINT64_MAX;
    /* An initialiser names functions and imported globals only: those are there already. */
    waot_value init = {.ref = 0};
    if (tables[i].init != NULL && !waot_const_eval(instance, tables[i].init, &init)) return refuse_exhausted(error);
    const waot_type *ref = waot_artifact_table_ref(instance->artifact, i);
    instance->tables[i] = (struct waot_table_object *)waot_table_new_typed(instance->store, tables[i].valtype, ref, tables[i].min, max, init.ref);
    if (instance->tables[i] == NULL) {
      return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "cannot allocate table %" PRIu32 " of %" PRIu64 " elements (the most are %" PRIu64 ")", i, tables[i].min, WAOT_MAX_TABLE_ELEMENTS);
    }
  }
  for (uint32_t i = desc->imported_memory_count; i < desc->memory_count; i++) {
    uint64_t max = (memories[i].flags & 1) != 0 ? memories[i].max : UINT64_MAX;
    if (error != NULL) error->kind = WAOT_ERROR_NONE;
    instance->memories[i] = provider != NULL && provider->make != NULL ? provider->make(provider->data, instance->store, i, memories[i].min, max, error)
                                                                      : waot_memory_new(instance->store, memories[i].min, max, error);
    if (instance->memories[i] == NULL) {
      if (error != NULL && error->kind == WAOT_ERROR_NONE) waot_error_set(error, WAOT_ERROR_MEMORY, 0, "cannot make memory %" PRIu32, i);
      return -1;
    }
  }
  return 0;
}

/* Fills the vmctx; evaluates the initialisers of globals in order. */
static int fill_vmctx(waot_instance *instance, waot_error *error) {
  const struct waot_module_desc *desc = instance->desc;
  const struct waot_global_desc *globals = desc->globals;
  instance->vmctx->instance = instance;
  instance->vmctx->builtins = (void *)(uintptr_t)&waot_builtin_table;
  instance->vmctx->types = instance->artifact->types;
  instance->vmctx->funcrefs = instance->funcrefs;
  for (uint32_t i = 0; i < desc->memory_count; i++) vm_memories(instance)[i] = (struct waot_vm_memory){instance->memories[i]->base, instance->memories[i]};
  for (uint32_t i = 0; i < desc->table_count; i++) vm_tables(instance)[i] = &instance->tables[i]->head;
  for (uint32_t i = 0; i < desc->global_count; i++) {
    waot_value *slot = &vm_globals(instance)[i];
    if (i < desc->imported_global_count) {
      slot->ref = (uintptr_t)instance->globals[i]->value;
      continue;
    }
    waot_global *own = &instance->own_globals[i - desc->imported_global_count];
    if (!waot_const_eval(instance, globals[i].init, slot)) return refuse_exhausted(error);
    *own = (waot_global){.value = slot, .valtype = globals[i].valtype, .is_mutable = globals[i].is_mutable, .store = instance->store, .ref = waot_artifact_global_ref(instance->artifact, i)};
    instance->globals[i] = own;
  }
  return 0;
}

/* Whether the elements of a segment are to be evaluated once, since they may be objects. Those that are functions, or null, are looked up when they are wanted. */
static bool holds_objects(const struct waot_elem_desc *elem) {
  uint32_t valtype = (uint32_t)elem->valtype | WAOT_VALTYPE_NULLABLE;
  return valtype != WAOT_VALTYPE_FUNCREF && valtype != WAOT_VALTYPE_NULLFUNCREF;
}

/* Evaluates the elements of all segments, in order. */
static int evaluate_elements(waot_instance *instance, waot_error *error) {
  const struct waot_elem_desc *elems = instance->desc->elems;
  for (uint32_t i = 0; i < instance->desc->elem_count; i++) {
    const struct waot_const_expr *items = elems[i].items;
    if (!holds_objects(&elems[i]) || elems[i].length == 0) continue;
    uint64_t *values = instance->elem_values[i] = new_array(elems[i].length, sizeof *values);
    if (values == NULL) return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "out of memory for an element segment");
    for (uint64_t item = 0; item < elems[i].length; item++) {
      waot_value value;
      if (!waot_const_eval(instance, &items[item], &value)) return refuse_exhausted(error);
      values[item] = value.ref;
    }
  }
  return 0;
}

void waot_elem_drop(waot_instance *instance, uint32_t segment) {
  instance->elem_lengths[segment] = 0;
  free(instance->elem_values[segment]);
  instance->elem_values[segment] = NULL;
}

/* The offset of a segment: an expression of numbers, which needs no memory unless it is absurdly long. */
static int32_t offset_of(const waot_instance *instance, const struct waot_const_expr *expr) {
  waot_value value = {.i32 = -1};
  return waot_const_eval(instance, expr, &value) ? value.i32 : -1;
}

/* Runs the active element segments, then the active data segments, in order; afterwards they, and declarative ones, are dropped. Sets *escaped when functions of the
 * instance may have got into an imported table. */
static int run_segments(waot_instance *instance, bool *escaped, waot_error *error) {
  const struct waot_module_desc *desc = instance->desc;
  const struct waot_elem_desc *elems = desc->elems;
  const struct waot_data_desc *datas = desc->datas;
  for (uint32_t i = 0; i < desc->elem_count; i++) instance->elem_lengths[i] = elems[i].length;
  for (uint32_t i = 0; i < desc->data_count; i++) instance->data_lengths[i] = datas[i].length;
  for (uint32_t i = 0; i < desc->elem_count; i++) {
    if (elems[i].mode == WAOT_SEGMENT_ACTIVE) {
      uint32_t at = (uint32_t)offset_of(instance, elems[i].offset);
      if (!waot_instance_table_init(instance, elems[i].table, i, at, 0, elems[i].length)) {
        return waot_error_set(error, WAOT_ERROR_TRAP, WAOT_STATUS_OUT_OF_BOUNDS_TABLE_ACCESS,
                              "out of bounds table access: element segment %" PRIu32 " does not fit table %" PRIu32 " at %" PRIu32, i, elems[i].table, at);
      }
      *escaped |= elems[i].table < desc->imported_table_count && elems[i].length > 0;
    }
    if (elems[i].mode != WAOT_SEGMENT_PASSIVE) waot_elem_drop(instance, i);
  }
  for (uint32_t i = 0; i < desc->data_count; i++) {
    if (datas[i].mode != WAOT_SEGMENT_ACTIVE) continue;
    uint32_t at = (uint32_t)offset_of(instance, datas[i].offset);
    if (!waot_instance_memory_init(instance, datas[i].memory, i, at, 0, datas[i].length)) {
      return waot_error_set(error, WAOT_ERROR_TRAP, WAOT_STATUS_OUT_OF_BOUNDS_MEMORY_ACCESS,
                            "out of bounds memory access: data segment %" PRIu32 " does not fit memory %" PRIu32 " at %" PRIu32, i, datas[i].memory, at);
    }
    instance->data_lengths[i] = 0;
  }
  return 0;
}

/* Takes a failed instance, and what it made, out of the store again, except memories of somebody else's, whom the provider may have told of them. */
static void discard(waot_instance *instance) {
  const struct waot_module_desc *desc = instance->desc;
  waot_instance **place = &instance->store->instances;
  while (*place != instance) place = &(*place)->next;
  *place = instance->next;
  for (uint32_t i = desc->imported_table_count; i < desc->table_count; i++) {
    struct waot_table_object *table = instance->tables[i], **link = &instance->store->tables;
    if (table == NULL) continue;
    while (*link != table) link = &(*link)->next;
    *link = table->next;
    waot_table_free(table);
  }
  for (uint32_t i = desc->imported_memory_count; i < desc->memory_count; i++) {
    waot_memory *memory = instance->memories[i], **link = &instance->store->memories;
    if (memory == NULL || memory->ops.length != NULL) continue;
    while (*link != memory) link = &(*link)->next;
    *link = memory->next;
    waot_memory_free(memory);
  }
  waot_instance_free(instance);
}

static bool has_references(const waot_type *type) {
  for (uint32_t i = 0; i < type->param_count + type->result_count; i++) {
    if (waot_valtype_is_reference(type->valtypes[i])) return true;
  }
  return false;
}

/* The store that references can come from, or go to, by an import; NULL when there is none. */
static waot_store *store_of_import(const waot_extern *import) {
  switch (import->kind) {
    case WAOT_EXTERN_FUNC: return import->func->instance != NULL && has_references(import->func->type) ? ((waot_instance *)import->func->instance)->store : NULL;
    case WAOT_EXTERN_TABLE: return ((struct waot_table_object *)import->table)->store;
    case WAOT_EXTERN_GLOBAL: return waot_valtype_is_reference(import->global->valtype) ? import->global->store : NULL;
    default: return NULL;
  }
}

/* Makes the store share its heap with those that references can pass to, or come from. */
static int link_stores(waot_store *store, const waot_extern *imports, size_t count, waot_error *error) {
  for (size_t i = 0; i < count; i++) {
    waot_store *other = store_of_import(&imports[i]);
    if (other != NULL && other != store && waot_store_link(store, other) != 0) return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "out of memory for a heap");
  }
  return 0;
}

waot_instance *waot_instance_new(waot_store *store, waot_artifact *artifact, const waot_extern *imports, size_t import_count,
                                 const waot_memory_provider *provider, waot_error *error) {
  if (waot_init(NULL, error) != 0 || waot_link_check(artifact, imports, import_count, error) != 0) return NULL;
  waot_instance *instance = allocate(store, artifact);
  if (instance == NULL) {
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "out of memory for an instance");
    return NULL;
  }
  instance->next = store->instances; /* from now on: what its constant expressions make has to be found */
  store->instances = instance;
  bool escaped = false;
  place_imports(instance, imports);
  make_funcs(instance);
  bool ready = link_stores(store, imports, import_count, error) == 0 && make_tables_and_memories(instance, provider, error) == 0 && fill_vmctx(instance, error) == 0 &&
               evaluate_elements(instance, error) == 0 && run_segments(instance, &escaped, error) == 0;
  if (!ready && !escaped) discard(instance); /* otherwise functions of it may be called through a table */
  return ready ? instance : NULL;
}

int waot_instance_start(waot_instance *instance) {
  waot_value none = {.i64 = 0};
  if (instance->desc->start == UINT32_MAX) return WAOT_STATUS_OK;
  return waot_call(instance->store, instance->funcrefs[instance->desc->start], &none);
}

int waot_instance_export(waot_instance *instance, uint32_t i, waot_extern *out) {
  if (i >= instance->desc->export_count) return -1;
  const struct waot_export_desc *export = (const struct waot_export_desc *)instance->desc->exports + i;
  out->kind = export->kind;
  switch (export->kind) {
    case WAOT_EXTERN_FUNC: out->func = instance->funcrefs[export->index]; return 0;
    case WAOT_EXTERN_TABLE: out->table = &instance->tables[export->index]->head; return 0;
    case WAOT_EXTERN_MEMORY: out->memory = instance->memories[export->index]; return 0;
    case WAOT_EXTERN_GLOBAL: out->global = instance->globals[export->index]; return 0;
    default: return -1;
  }
}

int waot_instance_export_named(waot_instance *instance, const char *name, waot_extern *out) {
  const struct waot_export_desc *exports = instance->desc->exports;
  size_t length = strlen(name);
  for (uint32_t i = 0; i < instance->desc->export_count; i++) {
    if (exports[i].name_len == length && memcmp(exports[i].name, name, length) == 0) return waot_instance_export(instance, i, out);
  }
  return -1;
}

waot_store *waot_instance_store(const waot_instance *instance) { return instance->store; }
