/* addon_object.c - memories (V8's own), tables and globals. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

#define PAGE_SIZE UINT64_C(65536)

/*
 * --- memories -------------------------------------------------------------------------------------------------------
 * Wasm may be deeper in the stack than V8 lets JavaScript go. V8's own getter and grow are called directly, because they are C++ and have no such limit: a hook
 * in JavaScript would throw a RangeError there, and memory.size and memory.grow would fail.
 */

/* Bytes of the memory's present buffer, and its address; false when V8 fails (then no exception is left pending). */
static bool memory_buffer(addon_memory *m, void **base, uint64_t *length) {
  addon_env *e = m->object.store->env;
  napi_value js = addon_object_js(&m->object), buffer, error;
  size_t bytes = 0;
  bool ok = js != NULL && (buffer = addon_hook_call_on(e, HOOK_MEMORY_BUFFER, js, 0, NULL)) != NULL &&
            napi_get_arraybuffer_info(e->env, buffer, base, &bytes) == napi_ok;
  if (!ok) napi_get_and_clear_last_exception(e->env, &error);
  *length = bytes;
  return ok;
}

/* waot_memory_ops.length */
static uint64_t memory_length(void *data) {
  addon_memory *m = data;
  addon_env *e = m->object.store->env;
  napi_handle_scope scope;
  void *base;
  if (m->epoch == e->epoch) return m->length;
  if (napi_open_handle_scope(e->env, &scope) != napi_ok) return 0;
  (void)addon_store_js(m->object.store); /* V8 can collect garbage here: nothing else need hold the store */
  /* A memory never shrinks: when V8 cannot say (execution is being terminated), the last known length is still true. */
  uint64_t length;
  if (memory_buffer(m, &base, &length)) {
    m->length = length;
    m->epoch = e->epoch;
  }
  napi_close_handle_scope(e->env, scope);
  return m->length;
}

/* waot_memory_ops.grow: V8's RangeError becomes -1. */
static int64_t memory_grow(void *data, uint64_t delta_pages) {
  addon_memory *m = data;
  addon_env *e = m->object.store->env;
  napi_handle_scope scope;
  int64_t old = -1;
  if (delta_pages > 65536 || napi_open_handle_scope(e->env, &scope) != napi_ok) return -1;
  (void)addon_store_js(m->object.store); /* as above */
  napi_value js = addon_object_js(&m->object), delta, result = NULL, error;
  if (js != NULL && napi_create_double(e->env, (double)delta_pages, &delta) == napi_ok) result = addon_hook_call_on(e, HOOK_MEMORY_GROW, js, 1, &delta);
  if (result == NULL || napi_get_value_int64(e->env, result, &old) != napi_ok) {
    napi_get_and_clear_last_exception(e->env, &error);
    old = -1;
  }
  m->epoch = 0; /* no environment is at epoch 0 */
  napi_close_handle_scope(e->env, scope);
  return old;
}

addon_memory *addon_memory_adopt(addon_store *s, napi_value memory, uint64_t max_pages) {
  napi_env env = s->env->env;
  addon_memory *m = (addon_memory *)addon_object_new(s, WAOT_EXTERN_MEMORY, NULL, sizeof *m);
  if (m == NULL || !addon_object_bind(&m->object, memory)) return NULL;
  void *base = NULL;
  /* V8 reports the base of an empty memory too (checked on Node 20): its reservation exists from the start. */
  if (!memory_buffer(m, &base, &m->length) || base == NULL) {
    addon_type_error(env, "V8 does not tell the address of a WebAssembly.Memory");
    return NULL;
  }
  waot_memory_ops ops = {memory_length, memory_grow, m};
  waot_error error = {0};
  waot_memory *native = waot_memory_adopt(s->store, base, max_pages, &ops, &error);
  if (native == NULL) {
    addon_throw_error(s->env, &error);
    return NULL;
  }
  return addon_object_name(&m->object, native) ? m : NULL;
}

/* memoryNew(store, memory: WebAssembly.Memory, max: number of pages, or undefined): handle */
napi_value addon_memory_new(napi_env env, napi_callback_info info) {
  napi_value argv[3], result;
  if (!addon_args(env, info, 3, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s == NULL) return NULL;
  double max;
  bool has_max = napi_get_value_double(env, argv[2], &max) == napi_ok;
  addon_memory *m = addon_memory_adopt(s, argv[1], has_max ? (uint64_t)max : UINT64_MAX);
  if (m == NULL || napi_create_external(env, m, NULL, NULL, &result) != napi_ok) return NULL;
  return result;
}

/* --- exports ---------------------------------------------------------------------------------------------------------- */

static napi_value wrap_table(addon_store *s, addon_object *o, napi_value handle) {
  napi_value argv[3] = {addon_store_js(s), handle};
  napi_create_uint32(s->env->env, waot_table_valtype(o->table), &argv[2]);
  return addon_hook_call(s->env, HOOK_TABLE, 3, argv);
}

static napi_value wrap_global(addon_store *s, addon_object *o, napi_value handle) {
  napi_value argv[4] = {addon_store_js(s), handle};
  napi_create_uint32(s->env->env, waot_global_valtype(o->global), &argv[2]);
  napi_get_boolean(s->env->env, waot_global_mutable(o->global) != 0, &argv[3]);
  return addon_hook_call(s->env, HOOK_GLOBAL, 4, argv);
}

napi_value addon_extern_js(addon_store *s, const waot_extern *ext) {
  napi_env env = s->env->env;
  if (ext->kind == WAOT_EXTERN_FUNC) return addon_func_js(s->env, ext->func);
  addon_object *o = addon_map_get(&s->env->objects, ext->any);
  napi_value js = o == NULL ? NULL : addon_object_js(o), handle;
  if (js != NULL) return js;
  if (ext->kind == WAOT_EXTERN_MEMORY) return addon_type_error(env, "an exported memory is not V8's");
  /* Not seen before: so it is the instance's own, because imported ones come from JS. */
  if (o == NULL) o = addon_object_new(s, ext->kind, ext->any, sizeof *o);
  if (o == NULL || napi_create_external(env, o, NULL, NULL, &handle) != napi_ok) return NULL;
  js = ext->kind == WAOT_EXTERN_TABLE ? wrap_table(s, o, handle) : wrap_global(s, o, handle);
  return js != NULL && addon_object_bind(o, js) ? js : NULL;
}

/* --- tables ----------------------------------------------------------------------------------------------------------- */

/* A handle for a table or global that JS makes; the wrapper is bound at once. */
static napi_value object_handle(addon_store *s, uint32_t kind, void *native, napi_value js) {
  napi_value handle;
  if (native == NULL) return addon_out_of_memory(s->env->env);
  addon_object *o = addon_object_new(s, kind, native, sizeof *o);
  if (o == NULL || !addon_object_bind(o, js) || napi_create_external(s->env->env, o, NULL, NULL, &handle) != napi_ok) return NULL;
  return handle;
}

static bool get_u64(napi_env env, napi_value value, uint64_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= 0) || number > 9007199254740991.0) {
    addon_type_error(env, "not an index");
    return false;
  }
  *out = (uint64_t)number;
  return true;
}

/* tableNew(store, wrapper, valtype, min, max or undefined, init): handle */
napi_value addon_table_new(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  uint32_t valtype = 0;
  uint64_t min, max = UINT64_MAX;
  waot_value init = {0};
  napi_valuetype type;
  if (!addon_args(env, info, 6, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s == NULL || !get_u64(env, argv[3], &min)) return NULL;
  napi_get_value_uint32(env, argv[2], &valtype);
  if (napi_typeof(env, argv[4], &type) == napi_ok && type != napi_undefined && !get_u64(env, argv[4], &max)) return NULL;
  if (!addon_to_wasm(s, (uint8_t)valtype, NULL, argv[5], &init)) return NULL;
  return object_handle(s, WAOT_EXTERN_TABLE, waot_table_new(s->store, valtype, min, max, init.ref), argv[1]);
}

/* The store and table of (store, handle, ...). */
static addon_object *table_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv, addon_store **s) {
  if (!addon_args(env, info, count, argv)) return NULL;
  *s = addon_store_of(addon_env_of(env), argv[0]);
  return *s == NULL ? NULL : addon_object_of(env, argv[1], WAOT_EXTERN_TABLE);
}

/* tableGet(store, handle, index): the value; undefined when out of range (no element is undefined in a funcref table; the loader checks the length) */
napi_value addon_table_get(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  addon_store *s;
  uint64_t i;
  waot_value value = {0};
  addon_object *o = table_args(env, info, 3, argv, &s);
  if (o == NULL || !get_u64(env, argv[2], &i)) return NULL;
  if (waot_table_get(o->table, i, &value.ref) != 0) return addon_undefined(env);
  return addon_to_js(s, (uint8_t)waot_table_valtype(o->table), waot_table_ref(o->table), &value);
}

/* tableSet(store, handle, index, value): false when out of range */
napi_value addon_table_set(napi_env env, napi_callback_info info) {
  napi_value argv[4], result;
  addon_store *s;
  uint64_t i;
  waot_value value = {0};
  addon_object *o = table_args(env, info, 4, argv, &s);
  if (o == NULL || !get_u64(env, argv[2], &i)) return NULL;
  addon_collect_if_due(s->env);
  if (!addon_to_wasm(s, (uint8_t)waot_table_valtype(o->table), waot_table_ref(o->table), argv[3], &value)) return NULL;
  napi_get_boolean(env, waot_table_set(o->table, i, value.ref) == 0, &result);
  return result;
}

/* tableGrow(store, handle, delta, value): the old length, or -1 */
napi_value addon_table_grow(napi_env env, napi_callback_info info) {
  napi_value argv[4], result;
  addon_store *s;
  uint64_t delta;
  waot_value value = {0};
  addon_object *o = table_args(env, info, 4, argv, &s);
  if (o == NULL || !get_u64(env, argv[2], &delta)) return NULL;
  addon_collect_if_due(s->env);
  if (!addon_to_wasm(s, (uint8_t)waot_table_valtype(o->table), waot_table_ref(o->table), argv[3], &value)) return NULL;
  napi_create_double(env, (double)waot_table_grow(o->table, delta, value.ref), &result);
  return result;
}

/* tableLength(store, handle): number */
napi_value addon_table_length(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  addon_store *s;
  addon_object *o = table_args(env, info, 2, argv, &s);
  if (o == NULL) return NULL;
  napi_create_double(env, (double)waot_table_length(o->table), &result);
  return result;
}

/* --- globals ---------------------------------------------------------------------------------------------------------- */

static bool is_true(napi_env env, napi_value value) {
  bool flag = false;
  napi_get_value_bool(env, value, &flag);
  return flag;
}

/* globalNew(store, wrapper, valtype, mutable, value, raw: boolean, ref: NativeExtern.ref or undefined): handle */
napi_value addon_global_new(napi_env env, napi_callback_info info) {
  napi_value argv[7];
  uint32_t valtype = 0;
  void *ref = NULL;
  napi_valuetype type;
  waot_value value = {0};
  if (!addon_args(env, info, 7, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s == NULL) return NULL;
  napi_get_value_uint32(env, argv[2], &valtype);
  if (napi_typeof(env, argv[6], &type) == napi_ok && type == napi_external) napi_get_value_external(env, argv[6], &ref);
  addon_collect_if_due(s->env);
  bool ok = is_true(env, argv[5]) ? addon_from_bits(s, (uint8_t)valtype, ref, argv[4], &value) : addon_to_wasm(s, (uint8_t)valtype, ref, argv[4], &value);
  if (!ok) return NULL;
  return object_handle(s, WAOT_EXTERN_GLOBAL, waot_global_new_typed(s->store, valtype, ref, is_true(env, argv[3]), &value), argv[1]);
}

/* globalGet(store, handle, raw: boolean): the value, or its bit pattern */
napi_value addon_global_get(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  waot_value value = {0};
  if (!addon_args(env, info, 3, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  addon_object *o = s == NULL ? NULL : addon_object_of(env, argv[1], WAOT_EXTERN_GLOBAL);
  if (o == NULL) return NULL;
  uint8_t type = (uint8_t)waot_global_valtype(o->global);
  waot_global_get(o->global, &value);
  const waot_type *ref = waot_global_ref(o->global);
  return is_true(env, argv[2]) ? addon_to_bits(s, type, ref, &value) : addon_to_js(s, type, ref, &value);
}

/* globalSet(store, handle, value, raw: boolean): false when immutable */
napi_value addon_global_set(napi_env env, napi_callback_info info) {
  napi_value argv[4], result;
  waot_value value = {0};
  if (!addon_args(env, info, 4, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  addon_object *o = s == NULL ? NULL : addon_object_of(env, argv[1], WAOT_EXTERN_GLOBAL);
  if (o == NULL) return NULL;
  uint8_t type = (uint8_t)waot_global_valtype(o->global);
  addon_collect_if_due(s->env);
  const waot_type *ref = waot_global_ref(o->global);
  bool ok = is_true(env, argv[3]) ? addon_from_bits(s, type, ref, argv[2], &value) : addon_to_wasm(s, type, ref, argv[2], &value);
  if (!ok) return NULL;
  napi_get_boolean(env, waot_global_set(o->global, &value) == 0, &result);
  return result;
}
