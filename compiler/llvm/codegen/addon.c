/*
 * addon.c - the Node-API side of the codegen addon: reads arguments, runs jobs on libuv's thread pool, settles promises.
 *
 * codegen.ts is the only caller and passes well-typed arguments; what is checked here keeps a mistake there from becoming a crash.
 */
#define _GNU_SOURCE 1
#define NAPI_VERSION 8
#include "codegen.h"

#include <dlfcn.h>

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include <node_api.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

typedef struct task {
  napi_async_work work;
  napi_deferred deferred;
  bool is_scan;
  double milliseconds;
  union { compile_job compile; scan_job scan; };
} task;

/* --- reading arguments -------------------------------------------------------------------------------------------- */

static napi_value get(napi_env env, napi_value object, const char *key) {
  napi_value value = NULL;
  if (napi_get_named_property(env, object, key, &value) != napi_ok) return NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type == napi_undefined || type == napi_null) return NULL;
  return value;
}

/* A copy of a string, NULL unless it is one. */
static char *read_string(napi_env env, napi_value value, size_t *size) {
  size_t length;
  if (!value || napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return NULL;
  char *text = codegen_allocate(length + 1);
  napi_get_value_string_utf8(env, value, text, length + 1, &length);
  if (size) *size = length;
  return text;
}

static bool want_string(napi_env env, napi_value object, const char *key, char **out) {
  *out = read_string(env, get(env, object, key), NULL);
  if (*out) return true;
  char *message = codegen_format("%s must be a string", key);
  napi_throw_type_error(env, NULL, message);
  free(message);
  return false;
}

/* A copy of a Uint8Array's bytes, or of a string's: the job must not see what JavaScript does to them meanwhile. */
static bool read_bytes(napi_env env, napi_value value, codegen_bytes *out) {
  out->data = read_string(env, value, &out->size);
  if (out->data) return true;
  bool is_view = false;
  napi_typedarray_type type;
  void *data;
  if (!value || napi_is_typedarray(env, value, &is_view) != napi_ok || !is_view) return false;
  if (napi_get_typedarray_info(env, value, &type, &out->size, &data, NULL, NULL) != napi_ok || type != napi_uint8_array) return false;
  out->data = codegen_allocate(out->size + 1);
  if (out->size) memcpy(out->data, data, out->size);
  out->data[out->size] = 0;
  return true;
}

static bool want_bytes(napi_env env, napi_value value, const char *name, codegen_bytes *out) {
  if (read_bytes(env, value, out)) return true;
  char *message = codegen_format("%s must be a Uint8Array or a string", name);
  napi_throw_type_error(env, NULL, message);
  free(message);
  return false;
}

static bool want_target(napi_env env, napi_value options, codegen_target *target) {
  return want_string(env, options, "triple", &target->triple) && want_string(env, options, "cpu", &target->cpu) &&
         want_string(env, options, "features", &target->features);
}

/* The index of an option's value among the names allowed, or -1 after throwing. */
static int want_choice(napi_env env, napi_value options, const char *key, const char *const names[], int count) {
  char *text = NULL;
  if (!want_string(env, options, key, &text)) return -1;
  int i = 0;
  while (i < count && strcmp(text, names[i]) != 0) i++;
  free(text);
  if (i < count) return i;
  char *message = codegen_format("%s has a value that is not known", key);
  napi_throw_range_error(env, NULL, message);
  free(message);
  return -1;
}

static bool read_flag(napi_env env, napi_value value) {
  bool flag = false;
  return value && napi_get_value_bool(env, value, &flag) == napi_ok && flag;
}

static bool read_compile(napi_env env, napi_value input, napi_value options, compile_job *job) {
  static const char *const kinds[] = {"obj", "asm", "ir", "bc"}, *const efforts[] = {"full", "lean", "plain"};
  napi_value prelude = get(env, options, "prelude");
  if (!want_bytes(env, input, "input", &job->input) || (prelude && !want_bytes(env, prelude, "prelude", &job->prelude))) return false;
  if (!want_target(env, options, &job->target) || !want_string(env, options, "exported", &job->exported)) return false;
  job->passes = read_string(env, get(env, options, "passes"), NULL);
  napi_value level = get(env, options, "optLevel");
  if (!level || napi_get_value_int32(env, level, &job->level) != napi_ok || job->level < 0 || job->level > 3) {
    napi_throw_range_error(env, NULL, "optLevel must be 0, 1, 2 or 3");
    return false;
  }
  int effort = get(env, options, "effort") ? want_choice(env, options, "effort", efforts, 3) : CODEGEN_FULL;
  int emit = effort < 0 ? -1 : want_choice(env, options, "emit", kinds, 4);
  if (emit < 0) return false;
  job->effort = (codegen_effort)effort;
  job->emit = (codegen_emit)emit;
  job->profile = read_flag(env, get(env, options, "profile"));
  return true;
}

static bool read_scan(napi_env env, napi_value object, napi_value options, scan_job *job) {
  return want_bytes(env, object, "object", &job->object) && want_target(env, options, &job->target) && want_string(env, options, "pattern", &job->pattern);
}

/* --- running tasks ------------------------------------------------------------------------------------------------ */

static void free_task(task *t) {
  if (t->is_scan) {
    for (size_t i = 0; i < t->scan.hit_count; i++) {
      free(t->scan.hits[i].symbol);
      free(t->scan.hits[i].text);
    }
    free(t->scan.hits);
    free(t->scan.object.data);
    free(t->scan.pattern);
    free(t->scan.error);
    codegen_target_free(&t->scan.target);
  } else {
    free(t->compile.input.data);
    free(t->compile.prelude.data);
    free(t->compile.output.data);
    free(t->compile.trace.data);
    free(t->compile.exported);
    free(t->compile.passes);
    free(t->compile.error);
    codegen_target_free(&t->compile.target);
  }
  free(t);
}

/*
 * Gives back to the system what a job has freed: it lies in arenas of several threads, from which it would not go by itself. Only where malloc is glibc's: with another one preloaded (allocator.ts), malloc_trim would
 * initialise glibc's there and then, for the calling thread as if it were the first; two at once, and glibc aborts the process when the second ends.
 */
static void give_back(void) {
#ifdef __GLIBC__
  Dl_info own, libc;
  if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &own) && dladdr(dlsym(RTLD_DEFAULT, "malloc_trim"), &libc) && own.dli_fbase == libc.dli_fbase) malloc_trim(0);
#endif
}

static void *work(void *data) {
  task *t = data;
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  if (t->is_scan) codegen_scan(&t->scan);
  else codegen_compile(&t->compile);
  clock_gettime(CLOCK_MONOTONIC, &end);
  give_back();
  t->milliseconds = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
  return NULL;
}

/* Some of LLVM's analyses recurse as deep as a function is long: scalar evolution by a dozen frames for each of a sequence of loops, which overflows 8 MiB at some 1,500. Only
 * what is touched of a stack costs memory. */
#define STACK_BYTES (UINT64_C(1) << 29)

/* Runs the task on a thread with a large stack, and waits for it: the pool's thread is the place in the queue. */
static void execute(napi_env env, void *data) {
  (void)env;
  pthread_attr_t attributes;
  pthread_t thread;
  bool started = false;
  if (pthread_attr_init(&attributes) == 0) {
    started = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 && pthread_create(&thread, &attributes, work, data) == 0;
    pthread_attr_destroy(&attributes);
  }
  if (started) pthread_join(thread, NULL);
  else work(data); /* address space is limited: most modules need no more than the usual stack */
}

static void set_number(napi_env env, napi_value object, const char *key, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  napi_set_named_property(env, object, key, value);
}

static void set_string(napi_env env, napi_value object, const char *key, const char *text) {
  napi_value value;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, object, key, value);
}

static napi_value make_compile_result(napi_env env, const task *t) {
  napi_value result, output, cpu;
  if (napi_create_buffer_copy(env, t->compile.output.size, t->compile.output.data, NULL, &output) != napi_ok) return NULL;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "output", output);
  set_number(env, result, "milliseconds", t->milliseconds);
  static const char *const steps[CODEGEN_STEPS] = {"read", "passes", "emit"};
  napi_create_object(env, &cpu);
  for (int i = 0; i < CODEGEN_STEPS; i++) set_number(env, cpu, steps[i], t->compile.cpu[i]);
  napi_set_named_property(env, result, "cpu", cpu);
  if (t->compile.trace.data) set_string(env, result, "trace", t->compile.trace.data);
  return result;
}

static napi_value make_scan_result(napi_env env, const task *t) {
  napi_value result, hits;
  napi_create_object(env, &result);
  napi_create_array_with_length(env, t->scan.hit_count, &hits);
  for (size_t i = 0; i < t->scan.hit_count; i++) {
    napi_handle_scope scope;
    napi_value hit;
    napi_open_handle_scope(env, &scope);
    napi_create_object(env, &hit);
    set_string(env, hit, "symbol", t->scan.hits[i].symbol);
    set_string(env, hit, "text", t->scan.hits[i].text);
    set_number(env, hit, "offset", (double)t->scan.hits[i].offset);
    set_number(env, hit, "count", (double)t->scan.hits[i].count);
    napi_set_element(env, hits, (uint32_t)i, hit);
    napi_close_handle_scope(env, scope);
  }
  napi_set_named_property(env, result, "hits", hits);
  set_number(env, result, "functions", (double)t->scan.functions);
  set_number(env, result, "instructions", (double)t->scan.instructions);
  set_number(env, result, "milliseconds", t->milliseconds);
  return result;
}

static void reject(napi_env env, napi_deferred deferred, const char *text) {
  napi_value message, error;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, NULL, message, &error);
  napi_reject_deferred(env, deferred, error);
}

static void complete(napi_env env, napi_status status, void *data) {
  task *t = data;
  const char *error = t->is_scan ? t->scan.error : t->compile.error;
  if (status != napi_ok && !error) error = "cancelled";
  napi_value result = error ? NULL : t->is_scan ? make_scan_result(env, t) : make_compile_result(env, t);
  if (result) napi_resolve_deferred(env, t->deferred, result);
  else reject(env, t->deferred, error ? error : "the output is too large for a Buffer");
  napi_delete_async_work(env, t->work);
  free_task(t);
}

/* Both functions: (bytes, options) -> promise. */
static napi_value start_task(napi_env env, napi_callback_info info, bool is_scan) {
  size_t count = 2;
  napi_value arguments[2], promise = NULL, name;
  napi_get_cb_info(env, info, &count, arguments, NULL, NULL);
  napi_valuetype type = napi_undefined;
  if (count == 2) napi_typeof(env, arguments[1], &type);
  if (type != napi_object) {
    napi_throw_type_error(env, NULL, "expected bytes and options");
    return NULL;
  }
  task *t = codegen_allocate(sizeof *t);
  memset(t, 0, sizeof *t);
  t->is_scan = is_scan;
  bool ok = is_scan ? read_scan(env, arguments[0], arguments[1], &t->scan) : read_compile(env, arguments[0], arguments[1], &t->compile);
  if (ok) {
    napi_create_string_utf8(env, is_scan ? "wasm-aot:scan" : "wasm-aot:compile", NAPI_AUTO_LENGTH, &name);
    ok = napi_create_promise(env, &t->deferred, &promise) == napi_ok &&
         napi_create_async_work(env, NULL, name, execute, complete, t, &t->work) == napi_ok && napi_queue_async_work(env, t->work) == napi_ok;
  }
  if (ok) return promise;
  free_task(t);
  return NULL;
}

static napi_value compile(napi_env env, napi_callback_info info) { return start_task(env, info, false); }
static napi_value scan(napi_env env, napi_callback_info info) { return start_task(env, info, true); }

/* --- questions ---------------------------------------------------------------------------------------------------- */

static napi_value version(napi_env env, napi_callback_info info) {
  (void)info;
  unsigned major, minor, patch;
  char text[48];
  napi_value value;
  LLVMGetVersion(&major, &minor, &patch);
  snprintf(text, sizeof text, "%u.%u.%u", major, minor, patch);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

static napi_value host_cpu(napi_env env, napi_callback_info info) {
  (void)info;
  napi_value object;
  napi_create_object(env, &object);
  char *name = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
  set_string(env, object, "name", name);
  set_string(env, object, "features", features);
  LLVMDisposeMessage(name);
  LLVMDisposeMessage(features);
  return object;
}

NAPI_MODULE_INIT() {
  static const struct { const char *name; napi_callback function; } functions[] = {
    {"compile", compile}, {"scan", scan}, {"version", version}, {"hostCpu", host_cpu}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function) != napi_ok) return NULL;
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
