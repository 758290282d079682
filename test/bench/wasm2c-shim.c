/* Gives what wasm2c (of wabt 1.0.32) makes of a kernel the face of native code: `int run(int)`. The module is named `guest`. */
#include "guest.h"

__attribute__((visibility("default"))) int run(int n) {
  static Z_guest_instance_t instance;
  static int ready;
  if (!ready) {
    wasm_rt_init();
    Z_guest_init_module();
    Z_guest_instantiate(&instance);
    ready = 1;
  }
  return (int)Z_guestZ_run(&instance, (u32)n);
}
