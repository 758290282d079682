/* host.c - calls an export of two i32 parameters and prints the frames that the call ended with: `host artifact.so export a b`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "wasm_aot.h"

enum { MOST = 64 };

int main(int argc, char **argv) {
  waot_error error;
  waot_artifact *artifact = argc == 5 ? waot_artifact_open(argv[1], &error) : NULL;
  waot_store *store = waot_store_new();
  waot_instance *instance = artifact ? waot_instance_new(store, artifact, NULL, 0, NULL, &error) : NULL;
  waot_extern export;
  if (instance == NULL || waot_instance_export_named(instance, argv[2], &export) != 0) return 2;
  waot_value args[2] = {{.i32 = atoi(argv[3])}, {.i32 = atoi(argv[4])}};
  int status = waot_call(store, export.func, args);
  waot_frame frames[MOST];
  uint32_t count = waot_backtrace(1, frames, MOST);
  for (uint32_t i = 0; i < count; i++) {
    waot_place places[MOST], first;
    uint32_t all = waot_frame_places(&frames[i], places, MOST);
    for (uint32_t j = 0; j < all; j++) printf("%" PRIu32 " 0x%" PRIx32 " %d %d\n", places[j].function, places[j].offset, places[j].is_exact, places[j].is_inlined);
    if (waot_frame_places(&frames[i], &first, 1) != (all ? 1 : 0) || (all && first.offset != places[0].offset)) return 3;
  }
  waot_store_delete(store);
  waot_artifact_close(artifact);
  return status;
}
