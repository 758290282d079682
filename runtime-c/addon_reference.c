/*
 * addon_reference.c - structs and arrays in JS: objects without properties or prototype, with an identity. Each is a root of the heap for as long as JS can reach it, which a weak reference tells:
 * Node-API runs finalizers from the event loop only, and code that makes objects in one long synchronous loop would free none.
 */
#include <stdlib.h>

#include "addon.h"

/* Wrappers of a store before the first sweep that no collection has asked for. */
#define FIRST_SWEEP 1024

static const napi_type_tag reference_tag = {UINT64_C(0x7761736d2d616f74), UINT64_C(0x7265666572656e63)};

static const void *key_of(uint64_t ref) { return (const void *)(uintptr_t)ref; }

static void forget(addon_reference *r) {
  addon_env *e = r->store->env;
  addon_map_remove(&e->references, key_of(waot_root_ref(r->root)));
  r->store->reference_count--;
  waot_root_delete(r->root);
  napi_delete_reference(e->env, r->js);
  free(r);
}

/* Forgets those whose wrapper is garbage. Also in the middle of wasm: it runs no JS, and makes nothing that V8 could collect garbage for but handles. */
static void sweep(void *data) {
  addon_store *s = data;
  napi_handle_scope scope;
  if (napi_open_handle_scope(s->env->env, &scope) != napi_ok) return;
  for (addon_reference **link = &s->references; *link != NULL;) {
    addon_reference *r = *link;
    napi_value js = NULL;
    if (napi_get_reference_value(s->env->env, r->js, &js) == napi_ok && js == NULL) {
      *link = r->next;
      forget(r);
    } else {
      link = &r->next;
    }
  }
  napi_close_handle_scope(s->env->env, scope);
  s->reference_sweep_at = s->reference_count * 2 > FIRST_SWEEP ? s->reference_count * 2 : FIRST_SWEEP;
}

void addon_references_watch(addon_store *s) {
  s->reference_sweep_at = FIRST_SWEEP;
  waot_store_on_collect(s->store, sweep, s);
}

void addon_references_free(addon_store *s) {
  for (addon_reference *next; s->references != NULL; s->references = next) {
    next = s->references->next;
    forget(s->references);
  }
}

/* The wrapper of a known object, or NULL when that is garbage. */
static napi_value wrapper_of(addon_reference *r) {
  napi_value js = NULL;
  napi_get_reference_value(r->store->env->env, r->js, &js);
  return js;
}

static void unlink_and_forget(addon_reference *r) {
  addon_reference **link = &r->store->references;
  while (*link != r) link = &(*link)->next;
  *link = r->next;
  forget(r);
}

/* Makes the wrapper for a record, which keeps the object from now on. */
static napi_value wrap(addon_store *s, addon_reference *r) {
  addon_env *e = s->env;
  napi_value js, store = addon_store_js(s);
  js = store == NULL ? NULL : addon_hook_call(e, HOOK_OBJECT, 1, &store);
  if (js == NULL) return NULL;
  if (napi_wrap(e->env, js, r, NULL, NULL, NULL) != napi_ok || napi_type_tag_object(e->env, js, &reference_tag) != napi_ok || napi_object_freeze(e->env, js) != napi_ok ||
      napi_create_reference(e->env, js, 0, &r->js) != napi_ok) {
    return addon_type_error(e->env, "cannot make an object for a reference");
  }
  return js;
}

napi_value addon_reference_js(addon_store *s, uint64_t ref) {
  addon_env *e = s->env;
  addon_reference *r = addon_map_get(&e->references, key_of(ref));
  napi_value js = r == NULL ? NULL : wrapper_of(r);
  if (js != NULL) return js;
  if (r != NULL) unlink_and_forget(r); /* its store may be garbage as well */
  if (s->reference_count >= s->reference_sweep_at) sweep(s);
  r = calloc(1, sizeof *r);
  waot_root *root = r == NULL ? NULL : waot_root_new(s->store, ref); /* before anything that may allocate */
  if (root == NULL) {
    free(r);
    return addon_out_of_memory(e->env);
  }
  r->store = s;
  r->root = root;
  js = wrap(s, r);
  if (js != NULL && !addon_map_set(&e->references, key_of(ref), r)) js = addon_out_of_memory(e->env);
  if (js == NULL) {
    waot_root_delete(root);
    if (r->js != NULL) napi_delete_reference(e->env, r->js);
    free(r);
    return NULL;
  }
  r->next = s->references;
  s->references = r;
  s->reference_count++;
  return js;
}

addon_reference *addon_reference_of(napi_env env, napi_value value) {
  bool ours = false;
  void *data = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return NULL;
  if (napi_check_object_type_tag(env, value, &reference_tag, &ours) != napi_ok || !ours) return NULL;
  return napi_unwrap(env, value, &data) == napi_ok ? data : NULL;
}

/* --- functions of the addon ---------------------------------------------------------------------------------------------- */

static addon_store *store_arg(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  return addon_args(env, info, count, argv) ? addon_store_of(addon_env_of(env), argv[0]) : NULL;
}

/* heapLimit(store, bytes: number): undefined */
napi_value addon_heap_limit(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  double bytes = 0;
  addon_store *s = store_arg(env, info, 2, argv);
  if (s == NULL) return NULL;
  if (napi_get_value_double(env, argv[1], &bytes) != napi_ok || !(bytes >= 0) || bytes > 9007199254740991.0) return addon_type_error(env, "not a number of bytes");
  waot_store_set_heap_limit(s->store, (uint64_t)bytes);
  return addon_undefined(env);
}

/* heapStats(store): { limit, held, live, objects, collections } */
napi_value addon_heap_stats(napi_env env, napi_callback_info info) {
  napi_value argv[1], result, number;
  waot_heap_stats stats;
  addon_store *s = store_arg(env, info, 1, argv);
  if (s == NULL) return NULL;
  waot_store_heap_stats(s->store, &stats);
  const struct { const char *name; uint64_t value; } rows[] = {
    {"limit", stats.limit}, {"held", stats.held}, {"live", stats.live}, {"objects", stats.objects}, {"collections", stats.collections},
  };
  napi_create_object(env, &result);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    napi_create_double(env, (double)rows[i].value, &number);
    napi_set_named_property(env, result, rows[i].name, number);
  }
  return result;
}

/* heapCollect(store): whether garbage has been collected */
napi_value addon_heap_collect(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  addon_store *s = store_arg(env, info, 1, argv);
  if (s != NULL) napi_get_boolean(env, waot_store_collect(s->store) == 0, &result);
  return result;
}

/* heapStress(on: boolean): a collection before every allocation, in the whole process; for tests */
napi_value addon_heap_stress(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  bool on = false;
  if (!addon_args(env, info, 1, argv)) return NULL;
  napi_get_value_bool(env, argv[0], &on);
  waot_heap_set_stress(on);
  return addon_undefined(env);
}
