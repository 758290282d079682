#ifndef DARWIN_FCNTL_H
#define DARWIN_FCNTL_H
#define O_RDONLY 0
#define O_NONBLOCK 0x4
#define O_NOCTTY 0x20000
#define O_CLOEXEC 0x1000000
int open(const char *, int, ...);
#endif
