/* addon_backtrace.c - the wasm frames for the errors of failed calls. */
#include <limits.h>
#include <stdio.h>

#include "addon.h"
#include "sha256.h"

/* More frames than an error shows: 64 of an activation. */
#define MOST_FRAMES 256

/* The hash of the artifact in hexadecimal, a space, and its path. */
static napi_value name_artifact(napi_env env, const waot_artifact *artifact) {
  char name[WAOT_SHA256_TEXT + 1 + PATH_MAX];
  napi_value result = NULL;
  waot_sha256_text(waot_artifact_hash(artifact), name);
  snprintf(name + WAOT_SHA256_TEXT, sizeof name - WAOT_SHA256_TEXT, " %s", waot_artifact_path(artifact));
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &result);
  return result;
}

/* backtrace(): the frames of the call that has just failed and of those below it, innermost first: [hash and path of the artifact, address in it, number of the activation, ...] */
napi_value addon_backtrace(napi_env env, napi_callback_info info) {
  (void)info;
  waot_frame frames[MOST_FRAMES];
  uint32_t count = waot_backtrace(1, frames, MOST_FRAMES);
  const waot_artifact *artifact = NULL;
  napi_value array, path = NULL, number;
  if (napi_create_array_with_length(env, (size_t)count * 3, &array) != napi_ok) return NULL;
  for (uint32_t i = 0; i < count; i++) {
    if (frames[i].artifact != artifact) path = name_artifact(env, frames[i].artifact);
    artifact = frames[i].artifact;
    napi_set_element(env, array, i * 3, path);
    napi_create_double(env, (double)frames[i].address, &number);
    napi_set_element(env, array, i * 3 + 1, number);
    napi_create_uint32(env, frames[i].activation, &number);
    napi_set_element(env, array, i * 3 + 2, number);
    if (frames[i].activation > 0) addon_env_of(env)->outer_frames = true;
  }
  return array;
}

/* An exception, which is pending, passes through an activation: if it is an error of ours, the frames of that activation belong between those of the JavaScript around. */
void addon_pass_exception(addon_env *e) {
  napi_value error;
  if (!e->outer_frames || napi_get_and_clear_last_exception(e->env, &error) != napi_ok) return;
  if (addon_hook_call(e, HOOK_PASSED, 1, &error) == NULL) napi_get_and_clear_last_exception(e->env, &(napi_value){NULL});
  napi_throw(e->env, error);
}
