/* Integer and floating-point operators over awkward values, printed as bit patterns; text and back; saturating conversions; a checksum over many more. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t LONGS[] = { 0, 1, -1, 2, -7, 63, 64, 255, 65536, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 0x123456789abcdef0, -0x123456789abcdef };
static const double DOUBLES[] = { 0.0, -0.0, 1.0, -1.5, 2.5, 0.1, 1e10, -1e10, 1e300, -1e300, 1e-310, DBL_MIN, DBL_MAX, 2147483647.5, -2147483649.0, 4294967295.9, 9.3e18, INFINITY, -INFINITY };
#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t sum = 14695981039346656037u;
static void mix(uint64_t x) { sum = (sum ^ x) * 1099511628211u; sum ^= sum >> 29; }
static uint64_t bits(double d) { uint64_t b; memcpy(&b, &d, 8); return b; }
static uint32_t fbits(float d) { uint32_t b; memcpy(&b, &d, 4); return b; }

__attribute__((noinline)) static void integers(int64_t a, int64_t b) {
  int32_t c = (int32_t)a, d = (int32_t)b;
  mix((uint64_t)a + (uint64_t)b); mix((uint64_t)a * (uint64_t)b); mix((uint64_t)a << (b & 63)); mix((uint64_t)(a >> (b & 63))); mix((uint64_t)a >> (b & 63));
  if (b && !(a == INT64_MIN && b == -1)) { mix((uint64_t)(a / b)); mix((uint64_t)(a % b)); }
  if (b) { mix((uint64_t)a / (uint64_t)b); mix((uint64_t)a % (uint64_t)b); }
  if (d && !(c == INT32_MIN && d == -1)) { mix((uint64_t)(c / d)); mix((uint64_t)(c % d)); }
  if (d) { mix((uint32_t)c / (uint32_t)d); mix((uint32_t)c % (uint32_t)d); }
  mix((uint32_t)c << (d & 31)); mix((uint64_t)(c >> (d & 31))); mix((uint32_t)c >> (d & 31));
  if (a) { mix((uint64_t)__builtin_clzll((uint64_t)a)); mix((uint64_t)__builtin_ctzll((uint64_t)a)); }
  mix((uint64_t)__builtin_popcountll((uint64_t)a));
  mix(a < b); mix((uint64_t)a < (uint64_t)b); mix((uint64_t)(int8_t)a); mix((uint64_t)(int16_t)b); mix((uint64_t)(int64_t)(int32_t)a);
}

__attribute__((noinline)) static void floats(double a, double b) {
  float c = (float)a, d = (float)b;
  double results[] = { a + b, a - b, a * b, a / b, fmin(a, b), fmax(a, b), copysign(a, b), floor(a), ceil(a), trunc(a), rint(a), sqrt(fabs(a)), fabs(b), c, fmod(a, b), hypot(a, b) };
  float narrow[] = { c + d, c - d, c * d, c / d, floorf(c), ceilf(c), truncf(c), rintf(c), sqrtf(fabsf(c)), copysignf(c, d) };
  /* The bits of a NaN that arithmetic makes are the implementation's affair. */
  for (size_t i = 0; i < COUNT(results); i++) mix(isnan(results[i]) ? 1 : bits(results[i]));
  for (size_t i = 0; i < COUNT(narrow); i++) mix(isnan(narrow[i]) ? 1 : fbits(narrow[i]));
  mix(a < b); mix(a == b); mix(a >= b);
}

static void texts(double a) {
  char text[64];
  int n = snprintf(text, sizeof text, "%.17g", a);
  printf("%016llx %s %g %.3f %a", (unsigned long long)bits(a), text, a, fabs(a) < 1e20 ? a : 0, a);
  printf(" %s\n", bits(strtod(text, NULL)) == bits(a) && n > 0 ? "back" : "NOT BACK");
}

#define SATURATE(name, to, from, low, high) \
  __attribute__((noinline)) static to name(from x) { return x != x ? 0 : x <= (from)(low) ? (low) : x >= (from)(high) ? (high) : (to)x; }
SATURATE(to_i32, int32_t, double, INT32_MIN, INT32_MAX)
SATURATE(to_u32, uint32_t, double, 0, UINT32_MAX)
SATURATE(to_i64, int64_t, double, INT64_MIN, INT64_MAX)
SATURATE(to_u64, uint64_t, double, 0, UINT64_MAX)

int main(void) {
  for (size_t i = 0; i < COUNT(LONGS); i++)
    for (size_t j = 0; j < COUNT(LONGS); j++) integers(LONGS[i], LONGS[j]);
  printf("%016llx\n", (unsigned long long)sum);
  for (size_t i = 0; i < COUNT(DOUBLES); i++)
    for (size_t j = 0; j < COUNT(DOUBLES); j++) floats(DOUBLES[i], DOUBLES[j]);
  printf("%016llx\n", (unsigned long long)sum);
  for (size_t i = 0; i < COUNT(DOUBLES); i++) {
    texts(DOUBLES[i]);
    printf("  %d %u %lld %llu\n", to_i32(DOUBLES[i]), to_u32(DOUBLES[i]), (long long)to_i64(DOUBLES[i]), (unsigned long long)to_u64(DOUBLES[i]));
  }
  uint64_t seed = 88172645463325252u;
  for (int i = 0; i < 200000; i++) {
    int64_t a, b;
    double x, y;
    seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; a = (int64_t)seed;
    seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; b = (int64_t)(i & 1 ? seed : seed >> (seed & 63));
    integers(a, b);
    memcpy(&x, &a, 8);
    memcpy(&y, &b, 8);
    if (!isnan(x) && !isnan(y) && i % 16 == 0) floats(x, y);
    mix(bits((double)a)); mix(bits((double)(uint64_t)b)); mix(fbits((float)a)); mix(fbits((float)(uint64_t)b));
  }
  printf("%016llx\n", (unsigned long long)sum);
  return 0;
}
