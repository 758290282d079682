/* emulated.h - fewer repeats where the tests run in an emulator, which is some fifty times slower, and (qemu-user) keeps 32 MiB for every 8 GiB reservation that there ever was. */
#ifndef EMULATED_H
#define EMULATED_H

#include <stdlib.h>

static inline int repeats(int full) { return getenv("WAOT_TEST_EMULATED") != NULL ? full / 50 + 1 : full; }

#endif /* EMULATED_H */
