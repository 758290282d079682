/* addon.c - the Node-API addon: its table of functions, and what it keeps for each environment (main thread or worker). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include "addon.h"
#include "sha256.h"

bool addon_args(napi_env env, napi_callback_info info, size_t count, napi_value *argv) {
  return napi_get_cb_info(env, info, &count, argv, NULL, NULL) == napi_ok;
}

napi_value addon_undefined(napi_env env) {
  napi_value value = NULL;
  napi_get_undefined(env, &value);
  return value;
}

napi_value addon_type_error(napi_env env, const char *message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, NULL, message);
  return NULL;
}

napi_value addon_out_of_memory(napi_env env) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_range_error(env, NULL, "out of memory");
  return NULL;
}

/* In the order of addon_hook. */
static const char *const hook_names[HOOK_COUNT] = {"failure",   "error",     "adopt",        "link",       "toBigInt", "iterate",
                                                   "memoryNew", "memoryBuffer", "memoryGrow", "wrapTable", "wrapGlobal", "passed", "object"};

/* setup(hooks, threadId): registers the loader's functions; once, before anything else */
static napi_value setup(napi_env env, napi_callback_info info) {
  napi_value argv[2], fn;
  addon_env *e = addon_env_of(env);
  napi_valuetype type;
  if (!addon_args(env, info, 2, argv)) return NULL;
  napi_get_value_uint32(env, argv[1], &e->thread_id);
  for (int i = 0; i < HOOK_COUNT; i++) {
    if (napi_get_named_property(env, argv[0], hook_names[i], &fn) != napi_ok) return NULL;
    if (napi_typeof(env, fn, &type) != napi_ok || type != napi_function) return addon_type_error(env, "a hook is missing");
    if (e->hooks[i] != NULL) napi_delete_reference(env, e->hooks[i]);
    napi_create_reference(env, fn, 1, &e->hooks[i]);
  }
  return addon_undefined(env);
}

/* keepLoaded(path): keeps an addon that is loaded from being unloaded when the worker that loaded it ends; false when it is not loaded */
static napi_value keep_loaded(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  char path[PATH_MAX];
  size_t length = 0;
  if (!addon_args(env, info, 1, argv) || napi_get_value_string_utf8(env, argv[0], path, sizeof path, &length) != napi_ok) return addon_type_error(env, "not a path");
  napi_get_boolean(env, dlopen(path, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) != NULL, &result);
  return result;
}

/* collect(): frees unreachable externref handles now, if no wasm is below on the stack; for tests */
static napi_value collect(napi_env env, napi_callback_info info) {
  (void)info;
  addon_env *e = addon_env_of(env);
  if (e->converting == 0 && waot_thread_depth() == 0) addon_collect(e);
  return addon_undefined(env);
}

/* sha256(bytes): the digest of an Uint8Array, in hexadecimal */
static napi_value sha256(napi_env env, napi_callback_info info) {
  napi_value argv[1], result = NULL;
  napi_typedarray_type type;
  size_t length = 0;
  void *bytes = NULL;
  if (!addon_args(env, info, 1, argv) || napi_get_typedarray_info(env, argv[0], &type, &length, &bytes, NULL, NULL) != napi_ok || type != napi_uint8_array) {
    return addon_type_error(env, "not an Uint8Array");
  }
  struct waot_sha256 sha;
  uint8_t digest[32];
  char text[WAOT_SHA256_TEXT];
  waot_sha256_init(&sha);
  if (length > 0) waot_sha256_update(&sha, bytes, length);
  waot_sha256_final(&sha, digest);
  waot_sha256_text(digest, text);
  napi_create_string_latin1(env, text, sizeof text, &result);
  return result;
}

/* nothing(): what a Node-API call alone costs, for bench:runtime */
static napi_value nothing(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  return NULL;
}

/* Whether this is the thread that the process began with: Node's main thread, if so, for workers have threads of their own. */
static bool is_first_thread(void) {
#if defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#else
  return pthread_main_np() == 1;
#endif
}

static void finalize_env(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  addon_env *e = data;
  if (e->watched) addon_unwatch_ending();
  addon_threads_remove(e);
  addon_store_free_all(e);
  for (int i = 0; i < HOOK_COUNT; i++) {
    if (e->hooks[i] != NULL) napi_delete_reference(env, e->hooks[i]);
  }
  addon_map_free(&e->objects);
  addon_map_free(&e->stores);
  addon_map_free(&e->store_ids);
  addon_map_free(&e->references);
  free(e);
}

#define FUNCTION(name, callback) {name, NULL, callback, NULL, NULL, NULL, napi_enumerable, NULL}

static const napi_property_descriptor functions[] = {
  FUNCTION("setup", setup),
  FUNCTION("keepLoaded", keep_loaded),
  FUNCTION("collect", collect),
  FUNCTION("stats", addon_store_stats),
  FUNCTION("sha256", sha256),
  FUNCTION("nothing", nothing),
  FUNCTION("artifactVerify", addon_artifact_verify),
  FUNCTION("artifactOpen", addon_artifact_open),
  FUNCTION("storeNew", addon_store_new),
  FUNCTION("storeFuel", addon_store_fuel),
  FUNCTION("storeFuelSet", addon_store_fuel_set),
  FUNCTION("storeInterrupt", addon_store_interrupt),
  FUNCTION("storeInterrupts", addon_store_interrupts),
  FUNCTION("storeDeadline", addon_store_deadline),
  FUNCTION("storeId", addon_store_id),
  FUNCTION("interruptById", addon_interrupt_by_id),
  FUNCTION("interruptThreads", addon_interrupt_threads),
  FUNCTION("backtrace", addon_backtrace),
  FUNCTION("configure", addon_configure),
  FUNCTION("handlersCheck", addon_handlers_check),
  FUNCTION("instantiate", addon_instantiate),
  FUNCTION("start", addon_start),
  FUNCTION("memoryNew", addon_memory_new),
  FUNCTION("tableNew", addon_table_new),
  FUNCTION("tableGet", addon_table_get),
  FUNCTION("tableSet", addon_table_set),
  FUNCTION("tableGrow", addon_table_grow),
  FUNCTION("tableLength", addon_table_length),
  FUNCTION("globalNew", addon_global_new),
  FUNCTION("globalGet", addon_global_get),
  FUNCTION("globalSet", addon_global_set),
  FUNCTION("callRaw", addon_call_raw),
  FUNCTION("funcType", addon_func_type),
  FUNCTION("heapLimit", addon_heap_limit),
  FUNCTION("heapStats", addon_heap_stats),
  FUNCTION("heapCollect", addon_heap_collect),
  FUNCTION("heapStress", addon_heap_stress),
};

NAPI_MODULE_INIT() {
  addon_env *e = calloc(1, sizeof *e);
  if (e == NULL) return addon_out_of_memory(env);
  e->env = env;
  e->next_id = 1;
  e->epoch = 1;
  napi_value version, abi, cpu, first;
  if (napi_set_instance_data(env, e, finalize_env, NULL) != napi_ok) {
    free(e);
    return addon_type_error(env, "cannot set up the addon");
  }
  addon_threads_add(e);
  addon_ask_v8_first();
  napi_define_properties(env, exports, sizeof functions / sizeof *functions, functions);
  napi_create_string_utf8(env, waot_version(), NAPI_AUTO_LENGTH, &version);
  napi_set_named_property(env, exports, "version", version);
  napi_create_uint32(env, waot_abi_version(), &abi);
  napi_set_named_property(env, exports, "abiVersion", abi);
  napi_create_bigint_uint64(env, waot_cpu_features(), &cpu);
  napi_set_named_property(env, exports, "cpuFeatures", cpu);
  napi_get_boolean(env, is_first_thread(), &first);
  napi_set_named_property(env, exports, "isFirstThread", first);
  return exports;
}
