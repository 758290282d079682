#ifndef DARWIN_MACH_MACH_VM_H
#define DARWIN_MACH_MACH_VM_H
#include <mach/mach.h>
typedef int *vm_region_recurse_info_t;
struct vm_region_submap_info_64 {
  vm_prot_t protection, max_protection;
  unsigned int inheritance;
  unsigned long long offset __attribute__((packed, aligned(4)));
  unsigned int user_tag, pages_resident, pages_shared_now_private, pages_swapped_out, pages_dirtied, ref_count;
  unsigned short shadow_depth;
  unsigned char external_pager, share_mode;
  boolean_t is_submap;
  vm_behavior_t behavior;
  natural_t object_id;
  unsigned short user_wired_count, flags;
  unsigned int pages_reusable;
  unsigned long long object_id_full __attribute__((packed, aligned(4)));
};
typedef struct vm_region_submap_info_64 vm_region_submap_info_data_64_t;
#define VM_REGION_SUBMAP_INFO_COUNT_64 ((mach_msg_type_number_t)(sizeof(vm_region_submap_info_data_64_t) / sizeof(natural_t)))
kern_return_t mach_vm_allocate(vm_map_t, mach_vm_address_t *, mach_vm_size_t, int flags);
kern_return_t mach_vm_region_recurse(vm_map_t, mach_vm_address_t *, mach_vm_size_t *, natural_t *depth, vm_region_recurse_info_t, mach_msg_type_number_t *);
#endif
