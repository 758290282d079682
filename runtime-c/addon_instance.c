/* addon_instance.c - artifacts and instances. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

/* First word of an addon_artifact: no WAOT_EXTERN_* kind, so that handles cannot be confused. */
#define ARTIFACT_KIND UINT32_C(0x41525449)

typedef struct addon_artifact {
  uint32_t kind;
  waot_artifact *artifact;
} addon_artifact;

napi_value addon_throw_error(addon_env *e, const waot_error *error) {
  napi_value argv[3], js;
  napi_create_int32(e->env, (int32_t)error->kind, &argv[0]);
  napi_create_int32(e->env, error->status, &argv[1]);
  napi_create_string_utf8(e->env, error->message, NAPI_AUTO_LENGTH, &argv[2]);
  js = addon_hook_call(e, HOOK_ERROR, 3, argv);
  if (js != NULL) napi_throw(e->env, js);
  return NULL;
}

/* --- artifacts ---------------------------------------------------------------------------------------------------------- */

/* A path as the C library takes it; NULL with a TypeError pending. The caller frees it. */
static char *get_path(napi_env env, napi_value value) {
  size_t length = 0;
  char *path = NULL;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok || (path = malloc(length + 1)) == NULL) {
    addon_type_error(env, "a path must be a string");
    return NULL;
  }
  napi_get_value_string_utf8(env, value, path, length + 1, &length);
  if (strlen(path) == length) return path;
  free(path);
  addon_type_error(env, "a path cannot contain a zero character");
  return NULL;
}

/* artifactVerify(path): undefined, or throws */
napi_value addon_artifact_verify(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  waot_error error = {0};
  if (!addon_args(env, info, 1, argv)) return NULL;
  char *path = get_path(env, argv[0]);
  if (path == NULL) return NULL;
  int rc = waot_artifact_verify(path, &error);
  free(path);
  return rc == 0 ? addon_undefined(env) : addon_throw_error(addon_env_of(env), &error);
}

static void finalize_artifact(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  addon_artifact *a = data;
  waot_artifact_close(a->artifact);
  free(a);
}

static void set_number(napi_env env, napi_value object, const char *name, double number) {
  napi_value value;
  if (napi_create_double(env, number, &value) == napi_ok) napi_set_named_property(env, object, name, value);
}

static void set_string(napi_env env, napi_value object, const char *name, const char *text, size_t length) {
  napi_value value;
  /* An empty name can be NULL. */
  if (napi_create_string_utf8(env, length == 0 ? "" : text, length, &value) == napi_ok) napi_set_named_property(env, object, name, value);
}

static void set_valtypes(napi_env env, napi_value object, const char *name, const uint8_t *codes, uint32_t count) {
  napi_value array, code;
  napi_create_array_with_length(env, count, &array);
  for (uint32_t i = 0; i < count; i++) {
    napi_create_uint32(env, codes[i], &code);
    napi_set_element(env, array, i, code);
  }
  napi_set_named_property(env, object, name, array);
}

/* One import or export as a plain object; loader/native.ts, NativeExtern. */
static napi_value describe(napi_env env, const waot_import_type *t, bool is_import) {
  napi_value object;
  napi_create_object(env, &object);
  if (is_import) set_string(env, object, "module", t->module, t->module_length);
  set_string(env, object, "name", t->name, t->name_length);
  set_number(env, object, "kind", t->kind);
  if (t->kind == WAOT_EXTERN_FUNC) {
    set_valtypes(env, object, "params", t->type->valtypes, t->type->param_count);
    set_valtypes(env, object, "results", t->type->valtypes + t->type->param_count, t->type->result_count);
    return object;
  }
  if (t->kind != WAOT_EXTERN_MEMORY) set_number(env, object, "valtype", t->valtype);
  napi_value ref;
  if (t->ref != NULL && napi_create_external(env, (void *)(uintptr_t)t->ref, NULL, NULL, &ref) == napi_ok) napi_set_named_property(env, object, "ref", ref); /* types are for ever */
  if (t->kind == WAOT_EXTERN_GLOBAL) {
    set_number(env, object, "mutable", t->mutable_ != 0);
    return object;
  }
  set_number(env, object, "min", (double)t->min);
  if (t->max != UINT64_MAX) set_number(env, object, "max", (double)t->max);
  return object;
}

typedef int (*describer)(const waot_artifact *artifact, uint32_t i, waot_import_type *out);

static napi_value describe_all(napi_env env, const waot_artifact *artifact, uint32_t count, describer get) {
  napi_value array;
  napi_create_array_with_length(env, count, &array);
  for (uint32_t i = 0; i < count; i++) {
    waot_import_type type = {0};
    napi_handle_scope scope;
    if (get(artifact, i, &type) != 0 || napi_open_handle_scope(env, &scope) != napi_ok) continue;
    napi_set_element(env, array, i, describe(env, &type, get == waot_artifact_import));
    napi_close_handle_scope(env, scope);
  }
  return array;
}

/* artifactOpen(path): { handle, manifest: string, fuelMode, cpuFeatures: bigint, imports, exports }, or throws */
napi_value addon_artifact_open(napi_env env, napi_callback_info info) {
  napi_value argv[1], result, handle, features;
  waot_error error = {0};
  if (!addon_args(env, info, 1, argv)) return NULL;
  char *path = get_path(env, argv[0]);
  if (path == NULL) return NULL;
  waot_artifact *artifact = waot_artifact_open(path, &error);
  free(path);
  addon_env *e = addon_env_of(env);
  if (artifact == NULL) return addon_throw_error(e, &error);
  if (!e->watched) addon_watch_ending(e);
  e->watched = true;
  addon_artifact *a = calloc(1, sizeof *a);
  if (a != NULL) *a = (addon_artifact){ARTIFACT_KIND, artifact};
  if (a == NULL || napi_create_external(env, a, finalize_artifact, NULL, &handle) != napi_ok) {
    waot_artifact_close(artifact);
    free(a);
    return addon_out_of_memory(env);
  }
  size_t length = 0;
  const char *manifest = waot_artifact_manifest(artifact, &length);
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "handle", handle);
  set_string(env, result, "manifest", manifest, manifest == NULL ? 0 : length);
  set_number(env, result, "fuelMode", waot_artifact_fuel_mode(artifact));
  napi_create_bigint_uint64(env, waot_artifact_cpu_features(artifact), &features);
  napi_set_named_property(env, result, "cpuFeatures", features);
  napi_set_named_property(env, result, "imports", describe_all(env, artifact, waot_artifact_import_count(artifact), waot_artifact_import));
  napi_set_named_property(env, result, "exports", describe_all(env, artifact, waot_artifact_export_count(artifact), waot_artifact_export));
  return result;
}

static waot_artifact *artifact_of(napi_env env, napi_value handle) {
  addon_object *o = addon_object_of(env, handle, ARTIFACT_KIND);
  return o == NULL ? NULL : ((addon_artifact *)(void *)o)->artifact;
}

/* --- instances ---------------------------------------------------------------------------------------------------------- */

/* One import: a function of ours stands for itself, any other gets an adapter; the rest are handles. */
static bool get_import(addon_store *s, waot_artifact *artifact, uint32_t i, napi_value value, waot_extern *out) {
  napi_env env = s->env->env;
  waot_import_type type = {0};
  if (waot_artifact_import(artifact, i, &type) != 0) return false;
  out->kind = type.kind;
  if (type.kind != WAOT_EXTERN_FUNC) {
    addon_object *o = addon_object_of(env, value, type.kind);
    out->any = o == NULL ? NULL : o->any;
    return o != NULL;
  }
  addon_func *f = addon_func_of(env, value);
  out->func = f != NULL ? f->object.func : addon_func_host(s, artifact, type.type, value);
  return out->func != NULL;
}

/* waot_memory_provider.make: the memories of a module are V8's. */
static waot_memory *make_memory(void *data, waot_store *store, uint32_t index, uint64_t min, uint64_t max, waot_error *error) {
  addon_store *s = data;
  napi_env env = s->env->env;
  napi_value argv[3] = {addon_store_js(s)};
  (void)store;
  (void)index;
  napi_create_double(env, (double)min, &argv[1]);
  if (max == UINT64_MAX) argv[2] = addon_undefined(env);
  else napi_create_double(env, (double)max, &argv[2]);
  /* An exception stays pending, and is what the caller of instantiate gets. */
  napi_value memory = addon_hook_call(s->env, HOOK_MEMORY_NEW, 3, argv);
  addon_memory *m = memory == NULL ? NULL : addon_memory_adopt(s, memory, max);
  if (m == NULL && error != NULL) {
    error->kind = WAOT_ERROR_MEMORY;
    strcpy(error->message, "a WebAssembly.Memory cannot be made");
  }
  return m == NULL ? NULL : m->object.memory;
}

static waot_instance *instantiate(addon_store *s, waot_artifact *artifact, napi_value list, waot_extern *imports, uint32_t count) {
  napi_env env = s->env->env;
  napi_value value;
  for (uint32_t i = 0; i < count; i++) {
    if (napi_get_element(env, list, i, &value) != napi_ok || !get_import(s, artifact, i, value, &imports[i])) return NULL;
  }
  waot_memory_provider provider = {make_memory, s};
  waot_error error = {0};
  s->env->epoch++;
  waot_instance *instance = waot_instance_new(s->store, artifact, imports, count, &provider, &error);
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (instance != NULL || pending) return pending ? NULL : instance;
  if (error.kind == WAOT_ERROR_TRAP) addon_throw_status(s, error.status);
  else addon_throw_error(s->env, &error);
  return NULL;
}

/* instantiate(store, artifact, imports: array of functions and handles): an external for the instance */
napi_value addon_instantiate(napi_env env, napi_callback_info info) {
  napi_value argv[3], result = NULL;
  if (!addon_args(env, info, 3, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  waot_artifact *artifact = s == NULL ? NULL : artifact_of(env, argv[1]);
  if (artifact == NULL) return NULL;
  uint32_t count = 0;
  if (napi_get_array_length(env, argv[2], &count) != napi_ok || count != waot_artifact_import_count(artifact)) {
    return addon_type_error(env, "one value for each import is needed");
  }
  waot_extern *imports = calloc(count + 1, sizeof *imports);
  if (imports == NULL) return addon_out_of_memory(env);
  waot_instance *instance = instantiate(s, artifact, argv[2], imports, count);
  free(imports);
  if (instance != NULL) napi_create_external(env, instance, NULL, NULL, &result);
  return result;
}

/* start(store, instance, artifact): runs the start function, then returns the array of exports, in order */
napi_value addon_start(napi_env env, napi_callback_info info) {
  napi_value argv[3], array;
  void *instance = NULL;
  if (!addon_args(env, info, 3, argv)) return NULL;
  addon_store *s = addon_store_of(addon_env_of(env), argv[0]);
  waot_artifact *artifact = s == NULL ? NULL : artifact_of(env, argv[2]);
  if (artifact == NULL) return NULL;
  if (napi_get_value_external(env, argv[1], &instance) != napi_ok) return addon_type_error(env, "not an instance");
  addon_scope outer = addon_scope_begin(s->env);
  int status = waot_instance_start(instance);
  addon_scope_end(s->env, &outer);
  if (!addon_throw_status(s, status)) return NULL;
  uint32_t count = waot_artifact_export_count(artifact);
  napi_create_array_with_length(env, count, &array);
  for (uint32_t i = 0; i < count; i++) {
    waot_extern ext = {0};
    napi_value js = waot_instance_export(instance, i, &ext) == 0 ? addon_extern_js(s, &ext) : addon_type_error(env, "an export is missing");
    if (js == NULL || napi_set_element(env, array, i, js) != napi_ok) return NULL;
  }
  return array;
}
