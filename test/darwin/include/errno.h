#ifndef DARWIN_ERRNO_H
#define DARWIN_ERRNO_H
int *__error(void);
#define errno (*__error())
#define EINTR 4
#define ENOMEM 12
#define EAGAIN 35
#endif
