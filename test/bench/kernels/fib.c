/* Naive Fibonacci: nothing but calls. */
#include "kernel.h"

static NOINLINE i32 fib(i32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

KERNEL {
  u32 sum = 0;
  for (i32 i = 0; i < n; i++) sum = mix(sum, (u32)fib(22 + (i & 1)));
  return (i32)sum;
}
