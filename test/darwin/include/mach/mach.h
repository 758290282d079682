/* Ports, threads, and the address space of a task. */
#ifndef DARWIN_MACH_MACH_H
#define DARWIN_MACH_MACH_H
#include <mach/thread_status.h>
#include <stdint.h>
typedef unsigned int natural_t;
typedef natural_t mach_port_t, mach_msg_type_number_t, thread_t, vm_map_t;
typedef int kern_return_t, thread_state_flavor_t, boolean_t, vm_prot_t, vm_behavior_t;
typedef natural_t *thread_state_t;
typedef uint64_t mach_vm_address_t, mach_vm_size_t;
#define KERN_SUCCESS 0
#define VM_PROT_READ 1
#define VM_PROT_WRITE 2
#define VM_PROT_EXECUTE 4
#define VM_FLAGS_FIXED 0
extern mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
mach_port_t mach_thread_self(void);
kern_return_t mach_port_deallocate(mach_port_t task, mach_port_t name);
kern_return_t thread_get_state(thread_t, thread_state_flavor_t, thread_state_t, mach_msg_type_number_t *);
#endif
