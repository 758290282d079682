/* Quicksort with insertion sort for short ranges: unpredictable branches, recursion. */
#include "kernel.h"

enum { COUNT = 1 << 14 };
static i32 items[COUNT];

static void insertion_sort(i32 *low, i32 *high) {
  for (i32 *p = low + 1; p <= high; p++) {
    i32 value = *p, *hole = p;
    for (; hole > low && hole[-1] > value; hole--) *hole = hole[-1];
    *hole = value;
  }
}

static NOINLINE void sort(i32 *low, i32 *high) {
  while (high - low > 12) {
    i32 a = *low, b = low[(high - low) / 2], c = *high;
    i32 pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
    i32 *left = low, *right = high;
    while (left <= right) {
      while (*left < pivot) left++;
      while (*right > pivot) right--;
      if (left <= right) {
        i32 value = *left;
        *left++ = *right, *right-- = value;
      }
    }
    if (right - low < high - left) sort(low, right), low = left;
    else sort(left, high), high = right;
  }
  insertion_sort(low, high);
}

KERNEL {
  u32 sum = 0, state = 2024;
  for (i32 round = 0; round < n; round++) {
    for (i32 i = 0; i < COUNT; i++) items[i] = (i32)next_random(&state);
    sort(items, items + COUNT - 1);
    for (i32 i = 0; i < COUNT; i += 37) sum = mix(sum, (u32)items[i]);
  }
  return (i32)sum;
}
