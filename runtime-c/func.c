/* func.c - function references, and the functions of the host. */
#include <stdlib.h>

#include "internal.h"

/* C has no conversion between object and function pointers; POSIX promises one (dlsym). */
static void *object_pointer(waot_host_fn fn) { return (void *)(uintptr_t)fn; }

waot_func *waot_func_new(waot_store *store, waot_artifact *type_artifact, uint32_t type_index, waot_host_fn fn, void *data) {
  if (fn == NULL || type_index >= type_artifact->desc->type_count) return NULL;
  const struct waot_type_desc *type = (const struct waot_type_desc *)type_artifact->desc->types + type_index;
  if (type->host == NULL || type->enter == NULL) return NULL;
  struct waot_host_func *host = calloc(1, sizeof *host);
  if (host == NULL) return NULL;
  host->host = (struct waot_host){(void *)(uintptr_t)waot_exit, object_pointer(fn), data};
  host->func = (struct waot_func){
    .code = type->host, .vmctx = &host->host, .type = (void *)(uintptr_t)type_artifact->types[type_index], .enter = type->enter,
  };
  waot_artifact_retain(type_artifact);
  host->artifact = type_artifact;
  host->next = store->host_funcs;
  store->host_funcs = host;
  return &host->func;
}

const waot_type *waot_func_type(const waot_func *func) { return func->type; }
