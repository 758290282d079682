/* <signal.h>: numbers, actions, signal stacks. */
#ifndef DARWIN_SIGNAL_H
#define DARWIN_SIGNAL_H
#include <sys/types.h>
#define SIGILL 4
#define SIGTRAP 5
#define SIGEMT 7
#define SIGBUS 10
#define SIGSEGV 11
#define SIGURG 16
#define SIGIO 23
#define SIGINFO 29
#define SIGUSR1 30
#define SIGUSR2 31
typedef uint32_t sigset_t;
union sigval { int sival_int; void *sival_ptr; };
typedef struct __siginfo {
  int si_signo, si_errno, si_code;
  pid_t si_pid;
  uid_t si_uid;
  int si_status;
  void *si_addr;
  union sigval si_value;
  long si_band;
  unsigned long reserved[7];
} siginfo_t;
#define SI_USER 0x10001
#define SI_QUEUE 0x10002
#define ILL_ILLOPC 1
#define TRAP_BRKPT 1
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRERR 2
struct sigaction {
  union { void (*__sa_handler)(int); void (*__sa_sigaction)(int, siginfo_t *, void *); } __sigaction_u;
  sigset_t sa_mask;
  int sa_flags;
};
#define sa_handler __sigaction_u.__sa_handler
#define sa_sigaction __sigaction_u.__sa_sigaction
#define SIG_DFL ((void (*)(int))0)
#define SIG_IGN ((void (*)(int))1)
#define SA_ONSTACK 0x0001
#define SA_RESTART 0x0002
#define SA_RESETHAND 0x0004
#define SA_NODEFER 0x0010
#define SA_SIGINFO 0x0040
#define SIG_BLOCK 1
#define SIG_UNBLOCK 2
#define SIG_SETMASK 3
typedef struct { void *ss_sp; size_t ss_size; int ss_flags; } stack_t;
#define SS_DISABLE 4
#define MINSIGSTKSZ 32768
int sigaction(int, const struct sigaction *, struct sigaction *);
int sigaltstack(const stack_t *, stack_t *);
int sigemptyset(sigset_t *);
int sigfillset(sigset_t *);
int sigaddset(sigset_t *, int);
int pthread_sigmask(int, const sigset_t *, sigset_t *) __asm("_pthread_sigmask");
#endif
