/*
 * 01-c-host: a C program that runs WebAssembly, without Node.
 *
 * It opens an artifact, gives it a host function, sets a limit of fuel, and calls it: once to the end, once into a trap, once until the fuel is gone.
 * `make run` builds the guest and this program and runs them; see README.md.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasm_aot.h"

/* The host function `env.report`: (i32) -> (). Parameters come in args, results would go there. */
static int report(void *data, waot_value *args) {
  int *reports = data;
  ++*reports;
  printf("  the guest reports %d\n", args[0].i32);
  return WAOT_STATUS_OK;
}

static void fail(const waot_error *error) {
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

/* Finds the module's one import and makes the host function for it. */
static waot_extern make_import(waot_store *store, waot_artifact *artifact, int *reports) {
  waot_import_type import;
  if (waot_artifact_import_count(artifact) != 1 || waot_artifact_import(artifact, 0, &import) != 0 || import.kind != WAOT_EXTERN_FUNC) {
    fprintf(stderr, "this guest does not import just one function\n");
    exit(1);
  }
  /* The artifact brings an adapter for each type of function that it imports; here its types are searched for the import's. */
  uint32_t type_index = 0;
  while (waot_artifact_type(artifact, type_index) != import.type) type_index++;
  return (waot_extern){.kind = WAOT_EXTERN_FUNC, .func = waot_func_new(store, artifact, type_index, report, reports)};
}

/* Calls an export with two i32 arguments (more than it may take) under a fresh limit of fuel, and says how it ended. */
static void call(waot_instance *instance, const char *name, int32_t a, int32_t b, int64_t limit) {
  waot_store *store = waot_instance_store(instance);
  waot_extern export;
  if (waot_instance_export_named(instance, name, &export) != 0 || export.kind != WAOT_EXTERN_FUNC) {
    fprintf(stderr, "the guest exports no function %s\n", name);
    exit(1);
  }
  waot_value args[2] = {{.i32 = a}, {.i32 = b}};
  waot_store_set_fuel(store, limit);
  int status = waot_call(store, export.func, args);
  printf("%s: %s; consumed %" PRId64 " of %" PRId64, name, waot_status_message(status), waot_store_consumed(store), waot_store_limit(store));
  if (status == WAOT_STATUS_OK && waot_func_type(export.func)->result_count > 0) printf("; result %d", args[0].i32);
  printf("\n");
}

int main(int argc, char **argv) {
  waot_error error = {0};
  int reports = 0;
  waot_artifact *artifact = waot_artifact_open(argc > 1 ? argv[1] : "guest.so", &error);
  if (artifact == NULL) fail(&error);
  waot_store *store = waot_store_new();
  if (store == NULL) return 1;
  waot_extern imports[1] = {make_import(store, artifact, &reports)};
  waot_instance *instance = waot_instance_new(store, artifact, imports, 1, NULL, &error);
  if (instance == NULL) fail(&error);

  call(instance, "primes", 20, 0, 10000);
  printf("  %d reports\n", reports);
  call(instance, "divide", 7, 0, 10000);
  call(instance, "forever", 0, 0, 10000000);
  call(instance, "divide", 84, 2, 10000); /* traps and exhaustion leave the instance usable */

  waot_store_delete(store);
  waot_artifact_close(artifact);
  return 0;
}
