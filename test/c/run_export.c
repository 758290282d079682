/*
 * run_export.c - calls exports of an artifact and prints what came of it, in words that do not depend on the machine: `program artifact.so < calls`.
 *
 * Each line of the input is `export limit argument...`, the arguments being bit patterns, and gets a new instance. Imported functions say how much fuel
 * had been consumed when they were called, and return zeros. The output: status, fuel consumed, bit patterns of the results, and a hash of the exported memory, if any.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime-c/include/wasm_aot.h"

enum { MOST_IMPORTS = 16, MOST_VALUES = 32 };

static waot_store *store;

/* References are addresses: all that is said of them is whether they are null. */
static void print_value(uint8_t valtype, const waot_value *value) {
  switch (valtype) {
    case WAOT_VALTYPE_I32: case WAOT_VALTYPE_F32: printf(" %08" PRIx64, value->ref & UINT32_MAX); break;
    case WAOT_VALTYPE_FUNCREF: case WAOT_VALTYPE_EXTERNREF: printf(value->ref == 0 ? " null" : " reference"); break;
    default: printf(" %016" PRIx64, value->ref);
  }
}

static int host(void *data, waot_value *args) {
  const waot_import_type *import = data;
  printf("  import %" PRIu32 " at %" PRId64 ":", import->index, waot_store_consumed(store));
  for (uint32_t i = 0; i < import->type->param_count; i++) print_value(import->type->valtypes[i], &args[i]);
  printf("\n");
  memset(args, 0, import->type->result_count * sizeof *args);
  return 0;
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static waot_instance *instantiate(waot_artifact *artifact) {
  static waot_import_type types[MOST_IMPORTS];
  waot_extern imports[MOST_IMPORTS];
  waot_error error = {.message = "too many imports, or one that is no function"};
  uint32_t count = waot_artifact_import_count(artifact);
  for (uint32_t i = 0; i < count; i++) {
    if (i == MOST_IMPORTS || waot_artifact_import(artifact, i, &types[i]) != 0 || types[i].kind != WAOT_EXTERN_FUNC) fail("imports", error.message);
    uint32_t t = 0;
    while (waot_artifact_type(artifact, t) != types[i].type) t++;
    imports[i] = (waot_extern){.kind = WAOT_EXTERN_FUNC, .func = waot_func_new(store, artifact, t, host, &types[i])};
  }
  waot_instance *instance = waot_instance_new(store, artifact, imports, count, NULL, &error);
  if (instance == NULL) fail("instantiating", error.message);
  return instance;
}

/* FNV-1a of the exported memory. */
static uint64_t hash_memory(waot_instance *instance) {
  waot_extern memory;
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  if (waot_instance_export_named(instance, "memory", &memory) != 0 || memory.kind != WAOT_EXTERN_MEMORY) return 0;
  const uint8_t *bytes = waot_memory_base(memory.memory);
  for (uint64_t i = 0, length = waot_memory_length(memory.memory); i < length; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static void run(waot_artifact *artifact, char *line) {
  waot_value values[MOST_VALUES] = {{.ref = 0}};
  waot_extern export;
  store = waot_store_new();
  waot_instance *instance = instantiate(artifact);
  const char *name = strtok(line, " \n");
  const char *limit = strtok(NULL, " \n");
  if (name == NULL || limit == NULL || waot_instance_export_named(instance, name, &export) != 0 || export.kind != WAOT_EXTERN_FUNC) fail("no such function", line);
  const waot_type *type = waot_func_type(export.func);
  for (uint32_t i = 0; i < type->param_count; i++) {
    const char *argument = strtok(NULL, " \n");
    if (argument == NULL) fail(name, "too few arguments");
    values[i].ref = strtoull(argument, NULL, 0);
  }
  waot_store_set_fuel(store, strtoll(limit, NULL, 0));
  printf("%s(%s):\n", name, limit);
  int status = waot_call(store, export.func, values);
  printf("  %s, consumed %" PRId64, waot_status_message(status), waot_store_consumed(store));
  for (uint32_t i = 0; status == WAOT_STATUS_OK && i < type->result_count; i++) print_value(type->valtypes[type->param_count + i], &values[i]);
  if (status != WAOT_STATUS_OUT_OF_FUEL) printf(", memory %016" PRIx64, hash_memory(instance)); /* else it is unspecified */
  printf("\n");
  waot_store_delete(store);
}

int main(int argc, char **argv) {
  waot_error error;
  char line[1000];
  if (argc != 2) return 2;
  waot_artifact *artifact = waot_artifact_open(argv[1], &error);
  if (artifact == NULL) fail("opening", error.message);
  while (fgets(line, sizeof line, stdin) != NULL) run(artifact, line);
  waot_artifact_close(artifact);
  return 0;
}
