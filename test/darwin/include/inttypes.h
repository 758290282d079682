#ifndef DARWIN_INTTYPES_H
#define DARWIN_INTTYPES_H
#include <stdint.h>
#define PRIu32 "u"
#define PRIx32 "x"
#define PRIu64 "llu"
#define PRIx64 "llx"
#define PRId64 "lld"
#define SCNxPTR "lx"
#endif
