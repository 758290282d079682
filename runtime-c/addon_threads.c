/*
 * addon_threads.c - the environments of the process, one a thread, so that one can interrupt the wasm of another: Node ends a worker by asking its
 * JavaScript to stop, and wasm that never returns would never hear of it.
 */
#include <pthread.h>

#include "addon.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list, and of each environment's list of stores */
static addon_env *environments;

void addon_threads_lock(void) { pthread_mutex_lock(&lock); }
void addon_threads_unlock(void) { pthread_mutex_unlock(&lock); }

void addon_threads_add(addon_env *e) {
  addon_threads_lock();
  e->next_env = environments;
  environments = e;
  addon_threads_unlock();
}

void addon_threads_remove(addon_env *e) {
  addon_threads_lock();
  for (addon_env **at = &environments; *at != NULL; at = &(*at)->next_env) {
    if (*at != e) continue;
    *at = e->next_env;
    break;
  }
  addon_threads_unlock();
}

/* interruptThreads(id: number or undefined): interrupts, for good, all stores of the thread with Node's threadId id, or of all threads but this one */
napi_value addon_interrupt_threads(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  uint32_t id = 0;
  addon_env *self = addon_env_of(env);
  if (!addon_args(env, info, 1, argv)) return NULL;
  bool one = napi_get_value_uint32(env, argv[0], &id) == napi_ok;
  addon_threads_lock();
  for (addon_env *e = environments; e != NULL; e = e->next_env) {
    if (e == self || (one && e->thread_id != id)) continue;
    e->ending = true;
    for (addon_store *s = e->first; s != NULL; s = s->next) waot_store_interrupt_for(s->store, WAOT_INTERRUPT_ENDING);
  }
  addon_threads_unlock();
  return addon_undefined(env);
}
