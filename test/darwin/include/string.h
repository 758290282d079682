#ifndef DARWIN_STRING_H
#define DARWIN_STRING_H
#include <stddef.h>
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
void *memchr(const void *, int, size_t);
size_t strlen(const char *);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
char *strcpy(char *, const char *);
char *strrchr(const char *, int);
char *strdup(const char *);
char *stpcpy(char *, const char *);
char *strerror(int);
#endif
