/* addon_call.c - calls from JS into wasm and from wasm into JS, and the function objects of both directions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon.h"

/* Marks the functions that this addon made: napi_unwrap alone would take another addon's objects for ours. */
static const napi_type_tag function_tag = {UINT64_C(0x7761736d2d616f74), UINT64_C(0x66756e6374696f6e)};

/* --- results of an activation ----------------------------------------------------------------------------------------- */

bool addon_throw_status(addon_store *s, int status) {
  napi_env env = s->env->env;
  bool pending = false;
  if (status == WAOT_STATUS_OK) return true;
  napi_is_exception_pending(env, &pending);
  if (status == WAOT_STATUS_HOST_ERROR && pending) {
    addon_pass_exception(s->env);
    return false;
  }
  napi_value argv[2], error;
  if (pending) napi_get_and_clear_last_exception(env, &error); /* out of fuel overrides what the host function threw */
  napi_create_int32(env, status, &argv[0]);
  argv[1] = addon_store_js(s);
  if (argv[1] == NULL) argv[1] = addon_undefined(env);
  error = addon_hook_call(s->env, HOOK_FAILURE, 2, argv);
  if (error != NULL) napi_throw(env, error);
  return false;
}

/* Converts the results: none is undefined, one is itself, more are an array. */
static napi_value results_to_js(addon_func *f, const waot_value *slots) {
  napi_env env = f->object.store->env->env;
  napi_value array, value = NULL;
  if (f->result_count == 0) return NULL; /* which Node-API takes for undefined */
  if (f->result_count == 1) {
    if (f->results[0] != WAOT_VALTYPE_I32) return addon_to_js(f->object.store, f->results[0], addon_ref(f, f->param_count), slots);
    napi_create_int32(env, slots->i32, &value);
    return value;
  }
  if (napi_create_array_with_length(env, f->result_count, &array) != napi_ok) return addon_out_of_memory(env);
  for (uint32_t i = 0; i < f->result_count; i++) {
    value = addon_to_js(f->object.store, f->results[i], addon_ref(f, f->param_count + i), &slots[i]);
    if (value == NULL || napi_set_element(env, array, i, value) != napi_ok) return NULL;
  }
  return array;
}

/* --- JS -> wasm --------------------------------------------------------------------------------------------------------- */

static void close_scope(addon_env *e) {
  if (e->scope.scope == NULL) return;
  napi_close_handle_scope(e->env, e->scope.scope);
  e->scope.scope = NULL;
}

addon_scope addon_scope_begin(addon_env *e) {
  addon_scope outer = e->scope;
  e->scope.scope = NULL;
  e->epoch++;
  return outer;
}

void addon_scope_end(addon_env *e, const addon_scope *outer) {
  close_scope(e);
  e->scope = *outer;
}

static int enter(addon_store *s, const waot_func *func, waot_value *slots) {
  addon_scope outer = addon_scope_begin(s->env);
  int status = waot_call(s->store, func, slots);
  addon_scope_end(s->env, &outer);
  return status;
}

/* Converts what is of a number type's own kind already, nearly always, without running JS. False: it takes addon_to_wasm. */
static inline bool take_number(napi_env env, uint8_t type, napi_value value, waot_value *out) {
  double number;
  bool lossless;
  switch (type) {
    case WAOT_VALTYPE_I32: return napi_get_value_int32(env, value, &out->i32) == napi_ok;
    case WAOT_VALTYPE_F64: return napi_get_value_double(env, value, &out->f64) == napi_ok;
    case WAOT_VALTYPE_I64: return napi_get_value_bigint_int64(env, value, &out->i64, &lossless) == napi_ok;
    case WAOT_VALTYPE_F32:
      if (napi_get_value_double(env, value, &number) != napi_ok) return false;
      out->f32 = (float)number;
      return true;
    default: return false;
  }
}

/* Converts the arguments from number `i` on. That can run JS, which may drop the last reference to this function: hold its store in the handle scope of the call. */
static bool convert(addon_func *f, const napi_value *argv, waot_value *slots, uint32_t i) {
  addon_store *s = f->object.store;
  bool converted = true;
  (void)addon_store_js(s);
  s->env->converting++;
  for (; i < f->param_count && converted; i++) converted = addon_to_wasm(s, f->params[i], addon_ref(f, i), argv[i], &slots[i]);
  s->env->converting--;
  return converted;
}

static bool arguments_to_wasm(addon_func *f, const napi_value *argv, waot_value *slots) {
  napi_env env = f->object.store->env->env;
  for (uint32_t i = 0; i < f->param_count; i++) {
    if (!take_number(env, f->params[i], argv[i], &slots[i])) return convert(f, argv, slots, i);
  }
  return true;
}

/* The call proper: argv holds param_count values, slots has room for slot_count. What runs JS, or allocates, while wasm runs holds the store itself (addon_scope). */
static napi_value call_with(addon_func *f, const napi_value *argv, waot_value *slots) {
  addon_store *s = f->object.store;
  addon_env *e = s->env;
  if (!f->is_plain) {
    if (f->has_v128) return addon_type_error(e->env, "a function with v128 parameters or results cannot be called from JavaScript");
    (void)addon_store_js(s); /* references among the results have to live until they are in JS's hands */
  }
  if (e->handle_count >= e->collect_at) addon_collect_if_due(e);
  if (!arguments_to_wasm(f, argv, slots)) return NULL;
  int status = enter(s, f->object.func, slots);
  if (status != WAOT_STATUS_OK) {
    addon_throw_status(s, status);
    return NULL;
  }
  return results_to_js(f, slots);
}

/* For functions with more parameters or results than fit inline. The slots are on the stack, at most 16 KB, because references in them have to be found there. */
static napi_value call_large(napi_env env, napi_callback_info info, addon_func *f) {
  size_t argc = f->param_count > 0 ? f->param_count : 1;
  napi_value *argv = malloc(argc * sizeof *argv), result = NULL;
  waot_value slots[f->slot_count];
  if (argv == NULL) result = addon_out_of_memory(env);
  else if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok) result = call_with(f, argv, slots);
  free(argv);
  return result;
}

/* The callbacks of exported functions: of those without parameters, with few, and of all others. Node-API fills as much of argv as there is, whether or not it is wanted. */
static napi_value call_export0(napi_env env, napi_callback_info info) {
  waot_value slots[1];
  void *data = NULL;
  if (napi_get_cb_info(env, info, NULL, NULL, NULL, &data) != napi_ok) return NULL;
  return call_with(data, NULL, slots);
}

#define FEW 4
static napi_value call_export_few(napi_env env, napi_callback_info info) {
  napi_value argv[FEW];
  waot_value slots[FEW];
  size_t argc = FEW;
  void *data = NULL;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, &data) != napi_ok) return NULL;
  return call_with(data, argv, slots);
}

static napi_value call_export(napi_env env, napi_callback_info info) {
  napi_value argv[ADDON_INLINE_SLOTS];
  waot_value slots[ADDON_INLINE_SLOTS];
  size_t argc = ADDON_INLINE_SLOTS;
  void *data = NULL;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, &data) != napi_ok) return NULL;
  addon_func *f = data;
  if (f->slot_count > ADDON_INLINE_SLOTS) return call_large(env, info, f);
  return call_with(f, argv, slots);
}

static napi_callback export_callback(const addon_func *f) {
  if (f->param_count == 0 && f->slot_count == 1) return call_export0;
  return f->slot_count <= FEW ? call_export_few : call_export;
}

/* --- wasm -> JS --------------------------------------------------------------------------------------------------------- */

static bool host_results(addon_func *f, napi_value result, waot_value *args) {
  addon_store *s = f->object.store;
  if (f->result_count == 0) return true;
  if (f->result_count == 1) return addon_to_wasm(s, f->results[0], addon_ref(f, f->param_count), result, &args[0]);
  napi_env env = s->env->env;
  napi_value argv[2] = {result}, value;
  napi_create_uint32(env, f->result_count, &argv[1]);
  napi_value array = addon_hook_call(s->env, HOOK_ITERATE, 2, argv);
  if (array == NULL) return false;
  for (uint32_t i = 0; i < f->result_count; i++) {
    if (napi_get_element(env, array, i, &value) != napi_ok || !addon_to_wasm(s, f->results[i], addon_ref(f, f->param_count + i), value, &args[i])) return false;
  }
  return true;
}

static bool host_call_with(addon_func *f, napi_value *argv, waot_value *args) {
  addon_store *s = f->object.store;
  napi_env env = s->env->env;
  napi_value fn = NULL, result = NULL;
  /* Nothing but this scope may hold the store: the function that JS called can be garbage while it runs. */
  if (addon_store_js(s) == NULL || napi_get_reference_value(env, f->host, &fn) != napi_ok || fn == NULL) {
    addon_type_error(env, "a host function outlived its store");
    return false;
  }
  for (uint32_t i = 0; i < f->param_count; i++) {
    argv[i] = addon_to_js(s, f->params[i], addon_ref(f, i), &args[i]);
    if (argv[i] == NULL) return false;
  }
  napi_status status = napi_call_function(env, addon_undefined(env), fn, f->param_count, argv, &result);
  s->env->epoch++;
  return status == napi_ok && host_results(f, result, args);
}

/* Makes sure of an open addon_scope with room for a call, and that it holds the function and its store. False with an exception pending. */
static bool use_scope(addon_env *e, addon_func *f) {
  addon_store *s = f->object.store;
  addon_scope *scope = &e->scope;
  if (scope->scope == NULL || scope->calls == ADDON_SCOPE_CALLS) {
    close_scope(e);
    if (napi_open_handle_scope(e->env, &scope->scope) != napi_ok) return false;
    *scope = (addon_scope){ scope->scope, ++e->scope_count, 0, addon_undefined(e->env) };
  }
  scope->calls++;
  if (f->host_scope == scope->number) return true;
  if (s->held_by != scope->number && addon_store_js(s) != NULL) s->held_by = scope->number;
  if (s->held_by != scope->number || napi_get_reference_value(e->env, f->host, &f->host_js) != napi_ok || f->host_js == NULL) {
    addon_type_error(e->env, "a host function outlived its store");
    return false;
  }
  f->host_scope = scope->number;
  return true;
}

/* What the runtime calls for a host function that takes and gives numbers; as call_host below. */
static int call_plain_host(void *data, waot_value *args) {
  addon_func *f = data;
  addon_store *s = f->object.store;
  addon_env *e = s->env;
  napi_value argv[ADDON_INLINE_SLOTS], result = NULL;
  if (!use_scope(e, f)) return WAOT_STATUS_HOST_ERROR;
  for (uint32_t i = 0; i < f->param_count; i++) {
    argv[i] = NULL;
    if (f->params[i] == WAOT_VALTYPE_I32) napi_create_int32(e->env, args[i].i32, &argv[i]);
    else argv[i] = addon_to_js(s, f->params[i], NULL, &args[i]);
    if (argv[i] == NULL) return WAOT_STATUS_HOST_ERROR;
  }
  napi_status status = napi_call_function(e->env, e->scope.undefined, f->host_js, f->param_count, argv, &result);
  e->epoch++;
  if (status != napi_ok) return WAOT_STATUS_HOST_ERROR;
  if (f->result_count == 0) return WAOT_STATUS_OK;
  if (take_number(e->env, f->results[0], result, &args[0])) return WAOT_STATUS_OK;
  return addon_to_wasm(s, f->results[0], NULL, result, &args[0]) ? WAOT_STATUS_OK : WAOT_STATUS_HOST_ERROR;
}

/* What the runtime calls for a host function; data is its addon_func. An exception stays pending and surfaces where JS called wasm. */
static int call_host(void *data, waot_value *args) {
  addon_func *f = data;
  napi_env env = f->object.store->env->env;
  napi_handle_scope scope;
  napi_value inline_argv[ADDON_INLINE_SLOTS], *argv = inline_argv;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return WAOT_STATUS_HOST_ERROR;
  if (f->has_v128) {
    addon_type_error(env, "a host function cannot have v128 parameters or results");
    napi_close_handle_scope(env, scope);
    return WAOT_STATUS_HOST_ERROR;
  }
  if (f->param_count > ADDON_INLINE_SLOTS) argv = malloc(f->param_count * sizeof *argv);
  bool ok = argv != NULL && host_call_with(f, argv, args);
  if (argv == NULL) addon_out_of_memory(env);
  if (argv != inline_argv) free(argv);
  napi_close_handle_scope(env, scope);
  return ok ? WAOT_STATUS_OK : WAOT_STATUS_HOST_ERROR;
}

/* --- function objects --------------------------------------------------------------------------------------------------- */

static addon_func *func_new(addon_store *s, waot_func *func, const waot_type *type) {
  addon_func *f = (addon_func *)addon_object_new(s, WAOT_EXTERN_FUNC, func, sizeof *f);
  if (f == NULL) return NULL;
  f->type = type;
  f->param_count = type->param_count;
  f->result_count = type->result_count;
  f->params = type->valtypes;
  f->results = type->valtypes + type->param_count;
  f->slot_count = type->param_count > type->result_count ? type->param_count : type->result_count;
  if (f->slot_count == 0) f->slot_count = 1;
  f->is_plain = f->slot_count <= ADDON_INLINE_SLOTS && f->result_count <= 1;
  for (uint32_t i = 0; i < type->param_count + type->result_count; i++) {
    uint8_t valtype = type->valtypes[i];
    if (valtype == WAOT_VALTYPE_V128) f->has_v128 = true;
    if (valtype != WAOT_VALTYPE_I32 && valtype != WAOT_VALTYPE_I64 && valtype != WAOT_VALTYPE_F32 && valtype != WAOT_VALTYPE_F64) f->is_plain = false;
  }
  return f;
}

/* The record of a function that the runtime names: known already, or defined by an instance of one of our stores. */
static addon_func *func_find(addon_env *e, waot_func *func) {
  addon_func *f = addon_map_get(&e->objects, func);
  if (f != NULL) return f;
  waot_instance *instance = ((struct waot_func *)func)->instance;
  addon_store *s = instance == NULL ? NULL : addon_store_find(e, waot_instance_store(instance));
  if (s == NULL) {
    addon_type_error(e->env, "a function reference leads to a store that is not of this thread");
    return NULL;
  }
  return func_new(s, func, waot_func_type(func));
}

napi_value addon_func_js(addon_env *e, waot_func *func) {
  addon_func *f = func_find(e, func);
  if (f == NULL) return NULL;
  napi_value fn = addon_object_js(&f->object);
  if (fn != NULL) return fn;
  char name[24];
  snprintf(name, sizeof name, "%llu", (unsigned long long)((struct waot_func *)func)->index);
  if (napi_create_function(e->env, name, NAPI_AUTO_LENGTH, export_callback(f), f, &fn) != napi_ok ||
      napi_wrap(e->env, fn, f, NULL, NULL, NULL) != napi_ok || napi_type_tag_object(e->env, fn, &function_tag) != napi_ok) {
    return addon_type_error(e->env, "cannot make an exported function");
  }
  napi_value argv[3] = {fn, addon_store_js(f->object.store)};
  napi_create_uint32(e->env, f->param_count, &argv[2]);
  if (addon_hook_call(e, HOOK_ADOPT, 3, argv) == NULL || !addon_object_bind(&f->object, fn)) return NULL;
  return fn;
}

addon_func *addon_func_of(napi_env env, napi_value value) {
  bool ours = false;
  void *data = NULL;
  if (napi_check_object_type_tag(env, value, &function_tag, &ours) != napi_ok || !ours) return NULL;
  if (napi_unwrap(env, value, &data) != napi_ok) return NULL;
  return data;
}

/* waot_func_new for a type of the artifact. Types of one shape can occur more than once, and only those of imports have an adapter. */
static waot_func *host_func_of_type(addon_store *s, waot_artifact *artifact, const waot_type *type, addon_func *data) {
  const waot_type *candidate;
  for (uint32_t i = 0; (candidate = waot_artifact_type(artifact, i)) != NULL; i++) {
    waot_func *func = candidate == type ? waot_func_new(s->store, artifact, i, data->is_plain ? call_plain_host : call_host, data) : NULL;
    if (func != NULL) return func;
  }
  return NULL;
}

waot_func *addon_func_host(addon_store *s, waot_artifact *artifact, const waot_type *type, napi_value fn) {
  napi_env env = s->env->env;
  addon_func *f = func_new(s, NULL, type);
  if (f == NULL) return NULL;
  waot_func *func = host_func_of_type(s, artifact, type, f);
  if (func == NULL || napi_create_reference(env, fn, 0, &f->host) != napi_ok) {
    addon_type_error(env, "cannot make a host function");
    return NULL;
  }
  return addon_object_name(&f->object, func) ? func : NULL;
}

/* --- raw calls ---------------------------------------------------------------------------------------------------------- */

static napi_value call_raw(addon_func *f, napi_value args, waot_value *slots) {
  addon_store *s = f->object.store;
  napi_env env = s->env->env;
  uint32_t count = 0;
  napi_value value, array;
  if (napi_get_array_length(env, args, &count) != napi_ok || count != f->param_count) {
    return addon_type_error(env, "callRaw needs an array with one value for each parameter");
  }
  addon_collect_if_due(s->env);
  for (uint32_t i = 0; i < count; i++) {
    if (napi_get_element(env, args, i, &value) != napi_ok || !addon_from_bits(s, f->params[i], addon_ref(f, i), value, &slots[i])) return NULL;
  }
  if (!addon_throw_status(s, enter(s, f->object.func, slots))) return NULL;
  napi_create_array_with_length(env, f->result_count, &array);
  for (uint32_t i = 0; i < f->result_count; i++) {
    value = addon_to_bits(s, f->results[i], addon_ref(f, f->param_count + i), &slots[i]);
    if (value == NULL || napi_set_element(env, array, i, value) != napi_ok) return NULL;
  }
  return array;
}

/* callRaw(store, function, arguments): array of results, as bit patterns (references as themselves) */
napi_value addon_call_raw(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  if (!addon_args(env, info, 3, argv)) return NULL;
  addon_func *f = addon_func_of(env, argv[1]);
  if (f == NULL) return addon_type_error(env, "not a function that a wasm-aot instance exports");
  waot_value slots[f->slot_count]; /* as in call_large */
  return call_raw(f, argv[2], slots);
}

/* funcType(function): { params: number[], results: number[] } of ValType codes; undefined for what is not our function */
napi_value addon_func_type(napi_env env, napi_callback_info info) {
  napi_value argv[1], result, params, results, code;
  if (!addon_args(env, info, 1, argv)) return NULL;
  napi_valuetype type;
  napi_typeof(env, argv[0], &type);
  addon_func *f = type == napi_function ? addon_func_of(env, argv[0]) : NULL;
  if (f == NULL) return addon_undefined(env);
  napi_create_object(env, &result);
  napi_create_array(env, &params);
  napi_create_array(env, &results);
  for (uint32_t i = 0; i < f->param_count + f->result_count; i++) {
    napi_create_uint32(env, f->params[i], &code);
    if (i < f->param_count) napi_set_element(env, params, i, code);
    else napi_set_element(env, results, i - f->param_count, code);
  }
  napi_set_named_property(env, result, "params", params);
  napi_set_named_property(env, result, "results", results);
  return result;
}
