#ifndef DARWIN_SYS_STAT_H
#define DARWIN_SYS_STAT_H
#include <sys/types.h>
#include <time.h>
struct stat {
  dev_t st_dev;
  mode_t st_mode;
  uint16_t st_nlink;
  ino_t st_ino;
  uid_t st_uid, st_gid;
  dev_t st_rdev;
  struct timespec st_atimespec, st_mtimespec, st_ctimespec, st_birthtimespec;
  off_t st_size;
  int64_t st_blocks;
  int32_t st_blksize;
  uint32_t st_flags, st_gen;
  int32_t st_lspare;
  int64_t st_qspare[2];
};
#define S_ISDIR(mode) (((mode) & 0170000) == 0040000)
#define S_ISREG(mode) (((mode) & 0170000) == 0100000)
#if defined(__x86_64__)
int stat(const char *, struct stat *) __asm("_stat$INODE64");
int fstat(int, struct stat *) __asm("_fstat$INODE64");
#else
int stat(const char *, struct stat *);
int fstat(int, struct stat *);
#endif
#endif
