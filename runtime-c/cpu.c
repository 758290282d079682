/* cpu.c - CPU features by CPUID (Intel SDM volume 2A, table 3-8 and following; AMD APM volume 3, appendix E). */
#include "cpu.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { LEAF_1_C, LEAF_7_B, LEAF_EXTENDED_1_C, REGISTERS };
/* What the operating system must save on a context switch for the feature to be usable: bits of XCR0. */
enum { STATE_NONE = 0, STATE_AVX = 0x06, STATE_AVX512 = 0xe6 };

static const struct { uint8_t feature, reg, bit, state; } ROWS[] = {
  {WAOT_CPU_SSE3, LEAF_1_C, 0, STATE_NONE},         {WAOT_CPU_SSSE3, LEAF_1_C, 9, STATE_NONE},
  {WAOT_CPU_SSE4_1, LEAF_1_C, 19, STATE_NONE},      {WAOT_CPU_SSE4_2, LEAF_1_C, 20, STATE_NONE},
  {WAOT_CPU_POPCNT, LEAF_1_C, 23, STATE_NONE},      {WAOT_CPU_CX16, LEAF_1_C, 13, STATE_NONE},
  {WAOT_CPU_AVX, LEAF_1_C, 28, STATE_AVX},          {WAOT_CPU_AVX2, LEAF_7_B, 5, STATE_AVX},
  {WAOT_CPU_BMI, LEAF_7_B, 3, STATE_NONE},          {WAOT_CPU_BMI2, LEAF_7_B, 8, STATE_NONE},
  {WAOT_CPU_F16C, LEAF_1_C, 29, STATE_AVX},         {WAOT_CPU_FMA, LEAF_1_C, 12, STATE_AVX},
  {WAOT_CPU_LZCNT, LEAF_EXTENDED_1_C, 5, STATE_NONE}, {WAOT_CPU_MOVBE, LEAF_1_C, 22, STATE_NONE},
  {WAOT_CPU_AVX512F, LEAF_7_B, 16, STATE_AVX512},   {WAOT_CPU_AVX512BW, LEAF_7_B, 30, STATE_AVX512},
  {WAOT_CPU_AVX512CD, LEAF_7_B, 28, STATE_AVX512},  {WAOT_CPU_AVX512DQ, LEAF_7_B, 17, STATE_AVX512},
  {WAOT_CPU_AVX512VL, LEAF_7_B, 31, STATE_AVX512},
};

/* XCR0, or 0 where the system does not use XSAVE. */
static uint32_t saved_state(unsigned leaf_1_c) {
  uint32_t low, high;
  if ((leaf_1_c & 1u << 27) == 0) return 0; /* OSXSAVE */
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static uint64_t ask_cpu(void) {
  unsigned a, b, c, d, registers[REGISTERS] = {0};
  if (__get_cpuid(1, &a, &b, &c, &d)) registers[LEAF_1_C] = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) registers[LEAF_7_B] = b;
  if (__get_cpuid(0x80000001, &a, &b, &c, &d)) registers[LEAF_EXTENDED_1_C] = c;
  uint32_t saved = saved_state(registers[LEAF_1_C]);
  uint64_t features = 0;
  for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
    if ((registers[ROWS[i].reg] & 1u << ROWS[i].bit) != 0 && (saved & ROWS[i].state) == ROWS[i].state) features |= UINT64_C(1) << ROWS[i].feature;
  }
  return features;
}
#else
static uint64_t ask_cpu(void) { return 0; }
#endif

/* Asks once: in a virtual machine each CPUID is an exit to the hypervisor, and those of one question take some 30 us. */
static uint64_t machine_features(void) {
  static atomic_uint_least64_t known; /* 0: not yet, or not one feature */
  uint64_t features = atomic_load_explicit(&known, memory_order_relaxed);
  if (features == 0) atomic_store_explicit(&known, features = ask_cpu(), memory_order_relaxed);
  return features;
}

static const struct { const char *name; uint64_t features; } LEVELS[] = {
#define ROW(name, features) {name, features},
  WAOT_CPU_LEVEL_TABLE(ROW)
#undef ROW
};

/* What WASM_AOT_CPU allows; all for a value that is not known. */
static uint64_t allowed_features(bool *known) {
  const char *limit = getenv("WASM_AOT_CPU");
  *known = true;
  if (limit == NULL || limit[0] == '\0') return UINT64_MAX;
  for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++) {
    if (strcmp(limit, LEVELS[i].name) == 0) return LEVELS[i].features;
  }
  *known = false;
  return UINT64_MAX;
}

uint64_t waot_cpu_features(void) {
  bool known;
  return machine_features() & allowed_features(&known);
}

bool waot_cpu_limit_is_known(void) {
  bool known;
  allowed_features(&known);
  return known;
}

const char *waot_cpu_feature_name(uint32_t bit) {
  switch (bit) {
#define ROW(value, name) case value: return name;
    WAOT_CPU_TABLE(ROW)
#undef ROW
    default: return NULL;
  }
}
