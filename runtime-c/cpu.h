/* cpu.h - what the CPU, and the system's saving of its registers, support. */
#ifndef WAOT_CPU_H
#define WAOT_CPU_H

#include <stdint.h>

/* Bit set of WAOT_CPU_*: the features of this machine that code may use. */
uint64_t waot_cpu_features(void);
/* Name of the feature with this bit, or NULL. */
const char *waot_cpu_feature_name(unsigned bit);

#endif /* WAOT_CPU_H */
