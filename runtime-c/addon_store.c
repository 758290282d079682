/* addon_store.c - stores, the handles of what they own, and when all of that is freed. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

/* Room for this many stores before the first sweep. */
#define FIRST_SWEEP 64

/* Told to V8 for each store, so that garbage stores are not invisible to its collector: roughly an instance with small tables. */
#define STORE_BYTES 4096

addon_env *addon_env_of(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

napi_value addon_hook_call_on(addon_env *e, addon_hook hook, napi_value receiver, size_t argc, const napi_value *argv) {
  napi_value fn = NULL, result = NULL;
  if (e->hooks[hook] == NULL || napi_get_reference_value(e->env, e->hooks[hook], &fn) != napi_ok || fn == NULL) {
    return addon_type_error(e->env, "the loader has not registered its hooks");
  }
  if (napi_call_function(e->env, receiver, fn, argc, argv, &result) != napi_ok) return NULL;
  return result;
}

napi_value addon_hook_call(addon_env *e, addon_hook hook, size_t argc, const napi_value *argv) {
  return addon_hook_call_on(e, hook, addon_undefined(e->env), argc, argv);
}

addon_store *addon_store_of(addon_env *e, napi_value store) {
  void *data = NULL;
  if (napi_unwrap(e->env, store, &data) != napi_ok || data == NULL) {
    addon_type_error(e->env, "not a Store of wasm-aot");
    return NULL;
  }
  return data;
}

napi_value addon_store_js(addon_store *s) {
  napi_value js = NULL;
  napi_get_reference_value(s->env->env, s->js, &js);
  return js;
}

addon_store *addon_store_find(addon_env *e, const waot_store *store) {
  return addon_map_get(&e->stores, store);
}

bool addon_link(addon_store *a, addon_store *b) {
  if (a == b) return true;
  if (waot_store_link(a->store, b->store) != 0) {
    addon_out_of_memory(a->env->env);
    return false;
  }
  napi_value pair[2] = {addon_store_js(a), addon_store_js(b)};
  return addon_hook_call(a->env, HOOK_LINK, 2, pair) != NULL;
}

/* --- objects ---------------------------------------------------------------------------------------------------------- */

addon_object *addon_object_new(addon_store *s, uint32_t kind, void *native, size_t size) {
  addon_object *o = calloc(1, size);
  if (o == NULL) {
    addon_out_of_memory(s->env->env);
    return NULL;
  }
  o->kind = kind;
  o->store = s;
  o->next = s->objects;
  s->objects = o;
  return native == NULL || addon_object_name(o, native) ? o : NULL;
}

bool addon_object_name(addon_object *o, void *native) {
  if (!addon_map_set(&o->store->env->objects, native, o)) {
    addon_out_of_memory(o->store->env->env);
    return false;
  }
  o->any = native;
  return true;
}

addon_object *addon_object_of(napi_env env, napi_value handle, uint32_t kind) {
  napi_valuetype type;
  void *data = NULL;
  if (napi_typeof(env, handle, &type) == napi_ok && type == napi_external && napi_get_value_external(env, handle, &data) == napi_ok) {
    addon_object *o = data;
    if (o != NULL && o->kind == kind) return o;
  }
  addon_type_error(env, "not a handle of this kind");
  return NULL;
}

napi_value addon_object_js(addon_object *o) {
  napi_value js = NULL;
  if (o->js != NULL) napi_get_reference_value(o->store->env->env, o->js, &js);
  return js;
}

bool addon_object_bind(addon_object *o, napi_value js) {
  napi_env env = o->store->env->env;
  if (o->js != NULL) napi_delete_reference(env, o->js);
  o->js = NULL;
  if (napi_create_reference(env, js, 0, &o->js) == napi_ok) return true;
  addon_type_error(env, "cannot refer to the wrapper of an external");
  return false;
}

static void object_free(addon_env *e, addon_object *o) {
  /* Somebody else's entry cannot be under this key: the native object has lived until now. */
  if (o->any != NULL) addon_map_remove(&e->objects, o->any);
  if (o->js != NULL) napi_delete_reference(e->env, o->js);
  if (o->kind == WAOT_EXTERN_FUNC) {
    addon_func *f = (addon_func *)o;
    if (f->host != NULL) napi_delete_reference(e->env, f->host);
  }
  free(o);
}

/* --- freeing ---------------------------------------------------------------------------------------------------------- */

static void release(addon_store *s) {
  if (--s->holders == 0) free(s);
}

/* Frees the native store and takes it off the environment's list. The wrappers are garbage by now, or the environment is ending. */
static void store_free(addon_store *s) {
  addon_env *e = s->env;
  addon_threads_lock();
  if (s->prev != NULL) s->prev->next = s->next;
  else e->first = s->next;
  if (s->next != NULL) s->next->prev = s->prev;
  addon_threads_unlock();
  addon_map_remove(&e->stores, s->store);
  addon_map_remove(&e->store_ids, (const void *)(uintptr_t)s->id);
  addon_references_free(s);
  waot_store_delete(s->store);
  s->store = NULL;
  for (addon_object *o = s->objects, *next; o != NULL; o = next) {
    next = o->next;
    object_free(e, o);
  }
  s->objects = NULL;
  e->handle_count -= s->value_count - s->free_count;
  napi_delete_reference(e->env, s->js);
  napi_delete_reference(e->env, s->values);
  free(s->free_slots);
  free(s->marks);
  int64_t now;
  napi_adjust_external_memory(e->env, -STORE_BYTES, &now);
  e->store_count--;
  release(s);
}

/*
 * Frees the stores whose JS object has been collected. Node runs finalizers from the event loop only, so code that instantiates in one long
 * synchronous loop would never free any: storeNew sweeps whenever the number of stores has doubled. Not while wasm is below
 * on the stack: one of the garbage stores may own a frame of it.
 */
static void sweep(addon_env *e) {
  napi_handle_scope scope;
  if (waot_thread_depth() != 0 || e->converting != 0 || napi_open_handle_scope(e->env, &scope) != napi_ok) return;
  for (addon_store *s = e->first, *next; s != NULL; s = next) {
    next = s->next;
    if (addon_store_js(s) == NULL) store_free(s);
  }
  napi_close_handle_scope(e->env, scope);
  e->sweep_at = e->store_count * 2 > FIRST_SWEEP ? e->store_count * 2 : FIRST_SWEEP;
}

static void finalize_store(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  addon_store *s = data;
  /* With wasm on the stack (an environment torn down from a host function) it stays listed, for a later sweep or for the end. */
  if (s->store != NULL && waot_thread_depth() == 0) store_free(s);
  release(s);
}

void addon_store_free_all(addon_env *e) {
  while (e->first != NULL) store_free(e->first);
}

/* --- functions of the addon ---------------------------------------------------------------------------------------------- */

static bool store_register(addon_env *e, addon_store *s, napi_value js, napi_value values) {
  if (!addon_map_set(&e->stores, s->store, s) || !addon_map_set(&e->store_ids, (const void *)(uintptr_t)s->id, s)) return false;
  return napi_create_reference(e->env, js, 0, &s->js) == napi_ok && napi_create_reference(e->env, values, 0, &s->values) == napi_ok &&
         napi_wrap(e->env, js, s, finalize_store, NULL, NULL) == napi_ok;
}

/* storeNew(store: object, values: array): makes the native store of a JS Store; `values` will hold the externref values. */
napi_value addon_store_new(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  addon_env *e = addon_env_of(env);
  if (!addon_args(env, info, 2, argv)) return NULL;
  if (e->store_count >= e->sweep_at) sweep(e);
  addon_store *s = calloc(1, sizeof *s);
  if (s != NULL && e->next_id <= ADDON_STORE_ID_MAX) s->store = waot_store_new();
  if (s == NULL || s->store == NULL) {
    free(s);
    return addon_out_of_memory(env);
  }
  s->env = e;
  s->id = e->next_id++;
  if (!store_register(e, s, argv[0], argv[1])) {
    addon_map_remove(&e->stores, s->store);
    addon_map_remove(&e->store_ids, (const void *)(uintptr_t)s->id);
    if (s->js != NULL) napi_delete_reference(env, s->js);
    if (s->values != NULL) napi_delete_reference(env, s->values);
    waot_store_delete(s->store);
    free(s);
    return addon_type_error(env, "cannot make a store");
  }
  s->holders = 2;
  addon_references_watch(s);
  addon_threads_lock();
  s->next = e->first;
  if (s->next != NULL) s->next->prev = s;
  e->first = s;
  if (e->ending) waot_store_interrupt_for(s->store, WAOT_INTERRUPT_ENDING);
  addon_threads_unlock();
  e->store_count++;
  int64_t now;
  napi_adjust_external_memory(env, STORE_BYTES, &now);
  return addon_undefined(env);
}

/* storeFuel(store, what: 0 consumed, 1 limit, 2 remaining, 3 overshoot): bigint */
napi_value addon_store_fuel(napi_env env, napi_callback_info info) {
  napi_value argv[2], result = NULL;
  uint32_t what = 0;
  if (!addon_args(env, info, 2, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s == NULL) return NULL;
  napi_get_value_uint32(env, argv[1], &what);
  int64_t (*const reads[])(const waot_store *) = {waot_store_consumed, waot_store_limit, waot_store_remaining, waot_store_overshoot};
  int64_t n = what < sizeof reads / sizeof *reads ? reads[what](s->store) : 0;
  napi_create_bigint_int64(env, n, &result);
  return result;
}

/* storeFuelSet(store, what: 0 set, 1 add, 2 charge; n: bigint): true, or false when the runtime refuses n */
napi_value addon_store_fuel_set(napi_env env, napi_callback_info info) {
  napi_value argv[3], result = NULL;
  uint32_t what = 0;
  int64_t n = -1;
  bool lossless = false;
  if (!addon_args(env, info, 3, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  if (s == NULL) return NULL;
  napi_get_value_uint32(env, argv[1], &what);
  if (napi_get_value_bigint_int64(env, argv[2], &n, &lossless) != napi_ok || !lossless) n = -1;
  int rc = what == 0 ? waot_store_set_fuel(s->store, n) : what == 1 ? waot_store_add_fuel(s->store, n) : waot_store_charge(s->store, n);
  napi_get_boolean(env, rc == 0, &result);
  return result;
}

/* stats(): { stores, handles } of this environment, for tests of the lifetimes */
napi_value addon_store_stats(napi_env env, napi_callback_info info) {
  (void)info;
  addon_env *e = addon_env_of(env);
  napi_value result, n;
  napi_create_object(env, &result);
  napi_create_double(env, (double)e->store_count, &n);
  napi_set_named_property(env, result, "stores", n);
  napi_create_double(env, (double)e->handle_count, &n);
  napi_set_named_property(env, result, "handles", n);
  return result;
}
