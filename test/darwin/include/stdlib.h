#ifndef DARWIN_STDLIB_H
#define DARWIN_STDLIB_H
#include <stddef.h>
void *malloc(size_t);
void *calloc(size_t, size_t);
void *realloc(void *, size_t);
void free(void *);
void *aligned_alloc(size_t, size_t);
char *getenv(const char *);
long strtol(const char *, char **, int);
char *realpath(const char *, char *) __asm__("_realpath$DARWIN_EXTSN");
void qsort(void *, size_t, size_t, int (*)(const void *, const void *));
_Noreturn void abort(void);
#endif
