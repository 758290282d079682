/* The sieve of Eratosthenes, on bytes. */
#include "kernel.h"

enum { N = 1 << 16 };
static u8 composite[N];

static NOINLINE i32 sieve(i32 limit) {
  i32 primes = 0;
  for (i32 i = 0; i < limit; i++) composite[i] = 0;
  for (i32 i = 2; i < limit; i++) {
    if (composite[i]) continue;
    primes++;
    for (i32 j = i * 2; j < limit; j += i) composite[j] = 1;
  }
  return primes;
}

KERNEL {
  u32 sum = 0;
  for (i32 round = 0; round < n; round++) sum = mix(sum, (u32)sieve(N - round % 1000));
  return (i32)sum;
}
