/*
 * load_bench.c - prints what loading costs, in microseconds, in a process that runs already: `program artifact.so [rounds]`. Best and median of the rounds: verify alone;
 * open; the first instance and the first call of the last export (a function without parameters; imports are functions that return zeros); close. Not a test.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../runtime-c/include/wasm_aot.h"

enum { MOST_IMPORTS = 256, MOST_ROUNDS = 1000, VERIFY = 0, OPEN, INSTANCE, CALL, CLOSE, OPEN_TO_CALL, STEPS };
static const char *const NAMES[STEPS] = {"verify", "open", "instantiate", "first call", "close", "open to first call"};
static double took[STEPS][MOST_ROUNDS];

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fail(const char *what, const waot_error *error) {
  fprintf(stderr, "%s: %s\n", what, error ? error->message : "failed");
  exit(1);
}

static int host(void *data, waot_value *args) {
  const waot_type *type = data;
  memset(args, 0, type->result_count * sizeof *args);
  return 0;
}

static waot_instance *instantiate(waot_store *store, waot_artifact *artifact) {
  waot_extern imports[MOST_IMPORTS];
  waot_error error;
  uint32_t count = waot_artifact_import_count(artifact);
  for (uint32_t i = 0; i < count; i++) {
    waot_import_type import;
    if (i == MOST_IMPORTS || waot_artifact_import(artifact, i, &import) != 0 || import.kind != WAOT_EXTERN_FUNC) fail("imports: too many, or one that is no function", NULL);
    uint32_t t = 0;
    while (waot_artifact_type(artifact, t) != import.type) t++;
    imports[i] = (waot_extern){.kind = WAOT_EXTERN_FUNC, .func = waot_func_new(store, artifact, t, host, (void *)(uintptr_t)import.type)};
  }
  waot_instance *instance = waot_instance_new(store, artifact, imports, count, NULL, &error);
  if (instance == NULL) fail("instantiating", &error);
  return instance;
}

static void one_round(const char *path, int round) {
  waot_error error;
  double times[STEPS + 1];
  times[VERIFY] = now_us();
  if (waot_artifact_verify(path, &error) != 0) fail("verifying", &error);
  times[OPEN] = now_us();
  waot_artifact *artifact = waot_artifact_open(path, &error);
  if (artifact == NULL) fail("opening", &error);
  times[INSTANCE] = now_us();
  waot_store *store = waot_store_new();
  waot_instance *instance = instantiate(store, artifact);
  waot_extern export;
  if (waot_instance_export(instance, waot_artifact_export_count(artifact) - 1, &export) != 0 || export.kind != WAOT_EXTERN_FUNC) fail("the last export is no function", NULL);
  times[CALL] = now_us();
  waot_value args[8] = {{0}};
  if (waot_call(store, export.func, args) != WAOT_STATUS_OK) fail("calling", NULL);
  times[CLOSE] = now_us();
  waot_store_delete(store);
  waot_artifact_close(artifact);
  times[CLOSE + 1] = now_us();
  for (int step = VERIFY; step <= CLOSE; step++) took[step][round] = times[step + 1] - times[step];
  took[OPEN_TO_CALL][round] = times[CLOSE] - times[OPEN];
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  int rounds = argc > 2 ? atoi(argv[2]) : 200;
  waot_error error;
  if (argc < 2 || rounds < 1 || rounds > MOST_ROUNDS) fail("usage: load_bench artifact.so [1 to 1000]", NULL);
  if (waot_init(NULL, &error) != 0) fail("starting", &error);
  for (int round = 0; round < rounds; round++) one_round(argv[1], round);
  for (int step = 0; step < STEPS; step++) {
    qsort(took[step], (size_t)rounds, sizeof took[step][0], compare_doubles);
    printf("%-20s %8.0f us, median %.0f\n", NAMES[step], took[step][0], took[step][rounds / 2]);
  }
  return 0;
}
