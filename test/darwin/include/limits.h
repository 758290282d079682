#ifndef DARWIN_LIMITS_H
#define DARWIN_LIMITS_H
#define PATH_MAX 1024
#endif
