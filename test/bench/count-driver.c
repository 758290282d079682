/* Runs one kernel once, under `valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no`, so that the call of `run` alone is counted:
 *   count-driver ours ARTIFACT N | native LIBRARY N      -> CHECKSUM, on stdout
 * Our artifacts run in the C runtime: Node under valgrind would be slow, and its own. */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <valgrind/callgrind.h>

#include "wasm_aot.h"

static int fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  return 1;
}

static void begin(void) {
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_TOGGLE_COLLECT;
}

static void end(void) {
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_STOP_INSTRUMENTATION;
}

static int count_ours(const char *path, int32_t n) {
  waot_error error = {0};
  waot_artifact *artifact = waot_artifact_open(path, &error);
  if (artifact == NULL) return fail(path, error.message);
  waot_store *store = waot_store_new();
  waot_instance *instance = store == NULL ? NULL : waot_instance_new(store, artifact, NULL, 0, NULL, &error);
  if (instance == NULL) return fail(path, error.message);
  waot_extern run;
  if (waot_instance_export_named(instance, "run", &run) != 0 || run.kind != WAOT_EXTERN_FUNC) return fail(path, "it exports no function run");
  waot_value value = {.i32 = n};
  begin();
  int status = waot_call(store, run.func, &value);
  end();
  if (status != WAOT_STATUS_OK) return fail(path, waot_status_message(status));
  printf("%" PRId32 "\n", value.i32);
  return 0;
}

static int count_native(const char *path, int32_t n) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  int32_t (*run)(int32_t) = library == NULL ? NULL : (int32_t (*)(int32_t))dlsym(library, "run");
  if (run == NULL) return fail(path, dlerror());
  begin();
  int32_t sum = run(n);
  end();
  printf("%" PRId32 "\n", sum);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 4) return fail(argv[0], "wants ours or native, a file, a number");
  return strcmp(argv[1], "ours") == 0 ? count_ours(argv[2], atoi(argv[3])) : count_native(argv[2], atoi(argv[3]));
}
