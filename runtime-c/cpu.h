/* cpu.h - what the CPU, and the system's saving of its registers, support; and what of that the environment allows. */
#ifndef WAOT_CPU_H
#define WAOT_CPU_H

#include <stdbool.h>

#include "include/wasm_aot.h" /* waot_cpu_features, waot_cpu_feature_name */

/* Whether the environment variable WASM_AOT_CPU is unset, empty or the name of a level; another value limits nothing. */
bool waot_cpu_limit_is_known(void);

#endif /* WAOT_CPU_H */
