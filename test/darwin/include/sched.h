#ifndef DARWIN_SCHED_H
#define DARWIN_SCHED_H
int sched_yield(void);
#endif
