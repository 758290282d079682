/*
 * addon_value.c - values between JS and wasm, by the WebAssembly JS API's ToWebAssemblyValue and ToJSValue, and externref handles.
 *
 * An externref inside wasm is a handle: store id in the upper half, slot + 1 in the lower half; 0 is null. The value is in the slot of an array
 * that the JS Store holds, so that a store that only its own values refer to is garbage for V8 like any other cycle. With the highest bit set it is no handle but a reference of the any
 * hierarchy: 31-bit integers, structs and arrays are those, whether JS passes them as anyref or as externref.
 */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

/* Set in an externref that is a reference of the any hierarchy, not a handle: see wasm_aot.h. */
#define EXTERNALISED (UINT64_C(1) << 63)

/* No collection before this many handles. */
#define FIRST_COLLECTION 1024

/* --- externref -------------------------------------------------------------------------------------------------------- */

static addon_store *handle_store(addon_env *e, uint64_t handle) {
  return addon_map_get(&e->store_ids, (const void *)(uintptr_t)(handle >> 32));
}

static void mark_root(void *data, uint64_t handle) {
  addon_store *s = handle == 0 ? NULL : handle_store(data, handle);
  if (s != NULL && (uint32_t)handle - 1 < s->value_count) s->marks[(uint32_t)handle - 1] = 1;
}

/* Puts every slot that is neither marked nor free on the free stack, and forgets its value. */
static void sweep_slots(addon_store *s) {
  napi_env env = s->env->env;
  napi_value values = NULL, nothing = addon_undefined(env);
  napi_get_reference_value(env, s->values, &values);
  for (uint32_t i = 0; i < s->free_count; i++) s->marks[s->free_slots[i]] = 1;
  for (uint32_t i = 0; i < s->value_count; i++) {
    if (s->marks[i]) continue;
    if (values != NULL) napi_set_element(env, values, i, nothing);
    s->free_slots[s->free_count++] = i;
    s->env->handle_count--;
  }
}

void addon_collect(addon_env *e) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(e->env, &scope) != napi_ok) return;
  for (addon_store *s = e->first; s != NULL; s = s->next) {
    if (s->value_count > 0) memset(s->marks, 0, s->value_count);
  }
  for (addon_store *s = e->first; s != NULL; s = s->next) waot_store_visit_externrefs(s->store, mark_root, e);
  for (addon_store *s = e->first; s != NULL; s = s->next) {
    if (s->value_count > 0) sweep_slots(s);
  }
  napi_close_handle_scope(e->env, scope);
  e->collect_at = e->handle_count * 2 > FIRST_COLLECTION ? e->handle_count * 2 : FIRST_COLLECTION;
}

void addon_collect_if_due(addon_env *e) {
  if (e->handle_count >= e->collect_at && e->converting == 0 && waot_thread_depth() == 0) addon_collect(e);
}

/* Makes room for one more slot; value_capacity stays below 2^31. */
static bool grow_slots(addon_store *s) {
  if (s->value_count < s->value_capacity) return true;
  if (s->value_capacity >= UINT32_C(1) << 30) return false;
  uint32_t capacity = s->value_capacity == 0 ? 64 : s->value_capacity * 2;
  uint32_t *slots = realloc(s->free_slots, capacity * sizeof *slots);
  if (slots != NULL) s->free_slots = slots;
  uint8_t *marks = realloc(s->marks, capacity);
  if (marks != NULL) s->marks = marks;
  if (slots == NULL || marks == NULL) return false;
  s->value_capacity = capacity;
  return true;
}

/* A new handle for a value. */
static bool handle_from_js(addon_store *s, napi_value value, uint64_t *handle) {
  napi_env env = s->env->env;
  napi_value values = NULL;
  if (s->free_count == 0 && !grow_slots(s)) {
    addon_out_of_memory(env);
    return false;
  }
  uint32_t slot = s->free_count > 0 ? s->free_slots[s->free_count - 1] : s->value_count;
  napi_get_reference_value(env, s->values, &values);
  if (values == NULL || napi_set_element(env, values, slot, value) != napi_ok) {
    addon_type_error(env, "cannot keep an externref value");
    return false;
  }
  if (s->free_count > 0) s->free_count--;
  else s->value_count++;
  s->env->handle_count++;
  *handle = (uint64_t)s->id << 32 | (slot + 1);
  return true;
}

/* A number that is a 31-bit integer is one in wasm; -0 is none. */
static bool i31_from_js(napi_env env, napi_value value, uint64_t *any) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= -0x40000000 && number < 0x40000000)) return false;
  int32_t integer = (int32_t)number;
  if ((double)integer != number || (integer == 0 && __builtin_signbit(number))) return false;
  *any = waot_any_from_i31(integer);
  return true;
}

/* What JS has of wasm's own in the any hierarchy: null, 31-bit integers, structs and arrays. 1 with *any, 0 for any other value, -1 with an exception pending. */
static int own_from_js(addon_store *s, napi_value value, uint64_t *any) {
  napi_env env = s->env->env;
  napi_valuetype type;
  *any = 0;
  if (napi_typeof(env, value, &type) != napi_ok) return 0;
  if (type == napi_null) return 1;
  if (type == napi_number) return i31_from_js(env, value, any);
  addon_reference *r = type == napi_object ? addon_reference_of(env, value) : NULL;
  if (r == NULL) return 0;
  *any = waot_root_ref(r->root);
  return addon_link(s, r->store) ? 1 : -1;
}

static bool externref_from_js(addon_store *s, napi_value value, uint64_t *out) {
  uint64_t any;
  int own = own_from_js(s, value, &any);
  if (own == 0) return handle_from_js(s, value, out);
  *out = waot_extern_from_any(s->store, any);
  return own > 0;
}

static napi_value any_to_js(addon_store *s, uint64_t any);

static napi_value externref_to_js(addon_store *s, uint64_t handle) {
  napi_env env = s->env->env;
  napi_value values = NULL, value = NULL;
  if (handle == 0) {
    napi_get_null(env, &value);
    return value;
  }
  if ((handle & EXTERNALISED) != 0) return any_to_js(s, handle & ~EXTERNALISED);
  addon_store *home = handle >> 32 == s->id ? s : handle_store(s->env, handle);
  if (home != NULL) napi_get_reference_value(env, home->values, &values);
  if (values == NULL || napi_get_element(env, values, (uint32_t)handle - 1, &value) != napi_ok) {
    return addon_type_error(env, "an externref outlived the store of its value");
  }
  return value;
}

/* --- anyref ----------------------------------------------------------------------------------------------------------- */

/* `type` and `ref`: a type of the any hierarchy. */
static bool any_from_js(addon_store *s, uint8_t type, const waot_type *ref, napi_value value, uint64_t *any) {
  int own = own_from_js(s, value, any);
  if (own < 0) return false;
  if (own == 0 && (type | WAOT_VALTYPE_NULLABLE) == WAOT_VALTYPE_ANYREF) {
    uint64_t handle;
    if (!handle_from_js(s, value, &handle)) return false;
    *any = waot_any_from_extern(s->store, handle);
    return *any != 0 || addon_throw_status(s, WAOT_STATUS_HEAP_EXHAUSTED);
  }
  if (own > 0 && waot_ref_is(*any, type, ref)) return true;
  addon_type_error(s->env->env, "the value is not of the type of the reference");
  return false;
}

static napi_value any_to_js(addon_store *s, uint64_t any) {
  napi_value value = NULL;
  switch (waot_any_kind(any)) {
    case WAOT_REF_NULL: napi_get_null(s->env->env, &value); return value;
    case WAOT_REF_I31: napi_create_int32(s->env->env, waot_any_i31(any), &value); return value;
    case WAOT_REF_HOST: return externref_to_js(s, waot_extern_from_any(s->store, any));
    default: return addon_reference_js(s, any);
  }
}

/* --- funcref ---------------------------------------------------------------------------------------------------------- */

static bool funcref_from_js(addon_store *s, napi_value value, uint64_t *ref) {
  napi_valuetype type;
  *ref = 0;
  if (napi_typeof(s->env->env, value, &type) == napi_ok && type == napi_null) return true;
  addon_func *f = type == napi_function ? addon_func_of(s->env->env, value) : NULL;
  if (f == NULL) {
    addon_type_error(s->env->env, "a funcref must be null or a function that a wasm-aot instance exports");
    return false;
  }
  *ref = (uint64_t)(uintptr_t)f->object.func;
  return addon_link(s, f->object.store);
}

/* --- other references --------------------------------------------------------------------------------------------------- */

/* A reference of a type that has no name of its own in the JS API. */
static bool typed_reference_from_js(addon_store *s, uint8_t type, const waot_type *ref, napi_value value, uint64_t *out) {
  napi_env env = s->env->env;
  napi_valuetype kind;
  if (napi_typeof(env, value, &kind) == napi_ok && kind == napi_null) {
    *out = 0;
    if ((type & WAOT_VALTYPE_NULLABLE) != 0) return true;
    addon_type_error(env, "null is no value of a reference type without null");
    return false;
  }
  switch (type | WAOT_VALTYPE_NULLABLE) {
    case WAOT_VALTYPE_EXTERNREF: return externref_from_js(s, value, out);
    case WAOT_VALTYPE_FUNCREF: return funcref_from_js(s, value, out);
    case WAOT_VALTYPE_REF_NULL_TYPE:
      if (ref->kind != WAOT_TYPE_FUNC) return any_from_js(s, type, ref, value, out);
      if (!funcref_from_js(s, value, out)) return false;
      if (waot_ref_is(*out, type, ref)) return true;
      addon_type_error(env, "the function is of another type than the reference");
      return false;
    case WAOT_VALTYPE_ANYREF:
    case WAOT_VALTYPE_EQREF:
    case WAOT_VALTYPE_I31REF:
    case WAOT_VALTYPE_STRUCTREF:
    case WAOT_VALTYPE_ARRAYREF: return any_from_js(s, type, ref, value, out);
    case WAOT_VALTYPE_NULLFUNCREF:
    case WAOT_VALTYPE_NULLEXTERNREF:
    case WAOT_VALTYPE_NULLREF:
      addon_type_error(env, "null is the only value of the type");
      return false;
    default:
      addon_type_error(env, "a v128 cannot pass between JavaScript and WebAssembly");
      return false;
  }
}

/* --- conversions ------------------------------------------------------------------------------------------------------ */

/* ToNumber, which may run JS. */
static bool to_number(napi_env env, napi_value value, napi_value *number) {
  return napi_coerce_to_number(env, value, number) == napi_ok;
}

static bool to_int64(addon_store *s, napi_value value, int64_t *out) {
  napi_env env = s->env->env;
  bool lossless;
  /* Takes the low 64 bits, which is ToBigInt64. */
  if (napi_get_value_bigint_int64(env, value, out, &lossless) == napi_ok) return true;
  napi_value big = addon_hook_call(s->env, HOOK_TO_BIGINT, 1, &value);
  return big != NULL && napi_get_value_bigint_int64(env, big, out, &lossless) == napi_ok;
}

bool addon_to_wasm(addon_store *s, uint8_t type, const waot_type *ref, napi_value value, waot_value *out) {
  napi_env env = s->env->env;
  double number;
  switch (type) {
    case WAOT_VALTYPE_I32:
      /* napi_get_value_int32 is ToInt32 on numbers: modulo 2^32, and 0 for what is not finite. */
      if (napi_get_value_int32(env, value, &out->i32) == napi_ok) return true;
      return to_number(env, value, &value) && napi_get_value_int32(env, value, &out->i32) == napi_ok;
    case WAOT_VALTYPE_I64:
      return to_int64(s, value, &out->i64);
    case WAOT_VALTYPE_F32:
    case WAOT_VALTYPE_F64:
      if (napi_get_value_double(env, value, &number) != napi_ok) {
        if (!to_number(env, value, &value) || napi_get_value_double(env, value, &number) != napi_ok) return false;
      }
      if (type == WAOT_VALTYPE_F64) out->f64 = number;
      else out->f32 = (float)number; /* to nearest, ties to even; out of range gives infinity (IEC 60559) */
      return true;
    case WAOT_VALTYPE_FUNCREF:
      return funcref_from_js(s, value, &out->ref);
    case WAOT_VALTYPE_EXTERNREF:
      return externref_from_js(s, value, &out->ref);
    default:
      return typed_reference_from_js(s, type, ref, value, &out->ref);
  }
}

napi_value addon_to_js(addon_store *s, uint8_t type, const waot_type *ref, const waot_value *value) {
  napi_env env = s->env->env;
  napi_value result = NULL;
  switch (type | WAOT_VALTYPE_NULLABLE) {
    case WAOT_VALTYPE_I32: napi_create_int32(env, value->i32, &result); return result;
    case WAOT_VALTYPE_I64: napi_create_bigint_int64(env, value->i64, &result); return result;
    case WAOT_VALTYPE_F32: napi_create_double(env, value->f32, &result); return result;
    case WAOT_VALTYPE_F64: napi_create_double(env, value->f64, &result); return result;
    case WAOT_VALTYPE_EXTERNREF:
    case WAOT_VALTYPE_NULLEXTERNREF: return externref_to_js(s, value->ref);
    case WAOT_VALTYPE_ANYREF:
    case WAOT_VALTYPE_EQREF:
    case WAOT_VALTYPE_I31REF:
    case WAOT_VALTYPE_STRUCTREF:
    case WAOT_VALTYPE_ARRAYREF:
    case WAOT_VALTYPE_NULLREF: return any_to_js(s, value->ref);
    case WAOT_VALTYPE_FUNCREF:
    case WAOT_VALTYPE_NULLFUNCREF:
    case WAOT_VALTYPE_REF_NULL_TYPE:
      if (ref != NULL && ref->kind != WAOT_TYPE_FUNC) return any_to_js(s, value->ref);
      if (value->ref != 0) return addon_func_js(s->env, (waot_func *)(uintptr_t)value->ref);
      napi_get_null(env, &result);
      return result;
    default: return addon_type_error(env, "a v128 cannot pass between JavaScript and WebAssembly");
  }
}

/* --- raw bits --------------------------------------------------------------------------------------------------------- */

bool addon_from_bits(addon_store *s, uint8_t type, const waot_type *ref, napi_value bits, waot_value *out) {
  if (type < WAOT_VALTYPE_V128) return addon_to_wasm(s, type, ref, bits, out);
  uint64_t words[2] = {0, 0};
  size_t count = 2;
  int sign = 0;
  size_t room = type == WAOT_VALTYPE_V128 ? 128 : type == WAOT_VALTYPE_I64 || type == WAOT_VALTYPE_F64 ? 64 : 32;
  bool fits = napi_get_value_bigint_words(s->env->env, bits, &sign, &count, words) == napi_ok && sign == 0 && count <= 2 &&
              (room == 128 || words[1] == 0) && (room != 32 || words[0] >> 32 == 0);
  if (!fits) {
    addon_type_error(s->env->env, "a raw value is a bigint, the bit pattern of its type: not negative, and no wider than the type");
    return false;
  }
  memset(out, 0, sizeof *out);
  memcpy(out->v128, words, sizeof words); /* little-endian hosts only, as all targets are */
  return true;
}

napi_value addon_to_bits(addon_store *s, uint8_t type, const waot_type *ref, const waot_value *value) {
  napi_value result = NULL;
  uint64_t words[2] = {0, 0};
  switch (type) {
    case WAOT_VALTYPE_I32:
    case WAOT_VALTYPE_F32: napi_create_bigint_uint64(s->env->env, (uint32_t)value->i32, &result); return result;
    case WAOT_VALTYPE_I64:
    case WAOT_VALTYPE_F64: napi_create_bigint_uint64(s->env->env, (uint64_t)value->i64, &result); return result;
    case WAOT_VALTYPE_V128:
      memcpy(words, value->v128, sizeof words);
      napi_create_bigint_words(s->env->env, 0, 2, words, &result);
      return result;
    default: return addon_to_js(s, type, ref, value);
  }
}
