// Functions that clang inlines, functions that only LLVM on our side may inline (clang is told not to), and ways to trap in each. See stacks.test.ts for the lines.
#define NOINLINE __attribute__((noinline))

static volatile int nought;

static int divide(int a, int b) {
  return a / b;
}

static inline int square(int x) { return divide(x * x, x - 7); }

static NOINLINE int leaf(int x, int mode) {
  if (mode == 0) return square(x);
  if (mode == 1) return *(volatile int *)(x * -16);
  if (mode == 2) __builtin_trap();
  if (mode == 3) return square(x + 1) + divide(x, nought);
  return x;
}

static NOINLINE int middle(int x, int mode) {
  int sum = leaf(x, mode);
  return sum + leaf(x + 1, mode);
}

int outer(int x, int mode) {
  int sum = 1;
  for (int i = 0; i < 2; i++)
    sum += middle(x, mode);
  return sum;
}

static int removed_by_the_linker(int x) { return divide(x, 3); }
int also_removed(int x) { return removed_by_the_linker(x) + outer(x, x); }
