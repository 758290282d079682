/* emulated.h - fewer repeats where the tests run in an emulator. */
#ifndef EMULATED_H
#define EMULATED_H

#include <stdlib.h>

static inline int is_emulated(void) { return getenv("WAOT_TEST_EMULATED") != NULL; }
/* It is some fifty times slower. */
static inline int repeats(int full) { return is_emulated() ? full / 50 + 1 : full; }
/* And qemu-user needs a tenth of a second, and 32 MiB that it never gives back, for every 8 GiB reservation. */
static inline int reservations(int full) { return is_emulated() ? full / 1000 + 1 : full; }

#endif /* EMULATED_H */
