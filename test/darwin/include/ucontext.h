/* The registers of an interrupted context, as the kernel hands them to a handler. */
#ifndef DARWIN_UCONTEXT_H
#define DARWIN_UCONTEXT_H
#include <mach/thread_status.h>
#include <signal.h>
struct __darwin_mcontext64 {
#if defined(__x86_64__)
  struct { uint16_t __trapno, __cpu; uint32_t __err; uint64_t __faultvaddr; } __es;
  x86_thread_state64_t __ss;
  uint8_t __fs[524];
#else
  struct { uint64_t __far; uint32_t __esr, __exception; } __es;
  arm_thread_state64_t __ss;
  uint8_t __ns[528];
#endif
};
typedef struct __darwin_ucontext {
  int uc_onstack;
  sigset_t uc_sigmask;
  stack_t uc_stack;
  struct __darwin_ucontext *uc_link;
  size_t uc_mcsize;
  struct __darwin_mcontext64 *uc_mcontext;
} ucontext_t;
#endif
