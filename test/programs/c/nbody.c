/* Five bodies under gravity, integrated with a symplectic step: floating point whose every bit must come out the same. Argument: steps. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODIES 5
static double x[BODIES][3], v[BODIES][3], mass[BODIES];

static double energy(void) {
  double e = 0;
  for (int i = 0; i < BODIES; i++) {
    e += 0.5 * mass[i] * (v[i][0] * v[i][0] + v[i][1] * v[i][1] + v[i][2] * v[i][2]);
    for (int j = i + 1; j < BODIES; j++) {
      double dx = x[i][0] - x[j][0], dy = x[i][1] - x[j][1], dz = x[i][2] - x[j][2];
      e -= mass[i] * mass[j] / sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return e;
}

static void step(double dt) {
  for (int i = 0; i < BODIES; i++)
    for (int j = i + 1; j < BODIES; j++) {
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) { d[k] = x[i][k] - x[j][k]; square += d[k] * d[k]; }
      double pull = dt / (square * sqrt(square));
      for (int k = 0; k < 3; k++) { v[i][k] -= d[k] * mass[j] * pull; v[j][k] += d[k] * mass[i] * pull; }
    }
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) x[i][k] += dt * v[i][k];
}

int main(int argc, char **argv) {
  long steps = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
  for (int i = 0; i < BODIES; i++) {
    double angle = 2 * acos(-1.0) * i / BODIES, radius = i ? 1.5 + i * i : 0, speed = i ? sqrt(39.5 / radius) : 0;
    x[i][0] = radius * cos(angle); x[i][1] = radius * sin(angle); x[i][2] = 0.01 * i;
    v[i][0] = -speed * sin(angle); v[i][1] = speed * cos(angle); v[i][2] = 0.001 * exp(-i);
    mass[i] = i ? 0.03 / i : 39.5;
  }
  printf("%.12f\n", energy());
  for (long i = 0; i < steps; i++) step(0.001);
  printf("%.12f\n", energy());
  for (int i = 0; i < BODIES; i++) {
    uint64_t bits[3];
    memcpy(bits, x[i], sizeof bits);
    printf("%016llx %016llx %016llx %a\n", (unsigned long long)bits[0], (unsigned long long)bits[1], (unsigned long long)bits[2], v[i][0]);
  }
  return 0;
}
