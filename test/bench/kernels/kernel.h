/* What every kernel includes. A kernel is one file without libc: static arrays, and one exported function `run` that sets all its state up,
 * works for a time proportional to n, and returns a checksum that depends on every result. */
#ifndef KERNEL_H
#define KERNEL_H

typedef signed char i8;
typedef unsigned char u8;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;
typedef double f64;
typedef float f32;

#define KERNEL __attribute__((visibility("default"), used)) i32 run(i32 n)
#define NOINLINE __attribute__((noinline))

/* xorshift32: the same numbers everywhere. */
static inline u32 next_random(u32 *state) {
  u32 x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

/* One step of a checksum (FNV-1a on words). */
static inline u32 mix(u32 sum, u32 value) { return (sum ^ value) * 16777619u; }

/* A double's bits, folded: floating-point results must agree to the last bit. */
static inline u32 bits_of(f64 value) {
  union { f64 f; u64 u; } both = {value};
  return (u32)both.u ^ (u32)(both.u >> 32);
}

#endif
