#ifndef DARWIN_UNISTD_H
#define DARWIN_UNISTD_H
#include <sys/types.h>
#define _SC_PAGESIZE 29
long sysconf(int);
pid_t getpid(void);
ssize_t read(int, void *, size_t);
ssize_t write(int, const void *, size_t);
int close(int);
#endif
