// Files, descriptors, processes, epoll: used by every room.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

// Variadic in glibc.
static inline int gantry_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline int gantry_openat(int dir, const char *path, int flags, mode_t mode) {
  return openat(dir, path, flags, mode);
}
static inline int gantry_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }
static inline int gantry_ioctl(int fd, unsigned long request, void *argument) { return ioctl(fd, request, argument); }

// No glibc wrapper: openat2(2). `resolve` takes RESOLVE_* from <linux/openat2.h>.
static inline int gantry_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
  return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

// glibc 2.36 declares pidfd_* only in <sys/pidfd.h>, which clashes with <linux/pidfd.h> on some distributions.
static inline int gantry_pidfd_open(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
static inline int gantry_pidfd_send_signal(int pidfd, int signal) {
  return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

// Macros that take arguments do not import.
static inline int gantry_wifexited(int status) { return WIFEXITED(status); }
static inline int gantry_wexitstatus(int status) { return WEXITSTATUS(status); }
static inline int gantry_wifsignaled(int status) { return WIFSIGNALED(status); }
static inline int gantry_wtermsig(int status) { return WTERMSIG(status); }
static inline int gantry_is_directory(mode_t mode) { return S_ISDIR(mode); }
static inline int gantry_is_regular(mode_t mode) { return S_ISREG(mode); }
static inline int gantry_is_symlink(mode_t mode) { return S_ISLNK(mode); }
static inline int gantry_is_socket(mode_t mode) { return S_ISSOCK(mode); }
static inline unsigned gantry_major(dev_t device) { return major(device); }
static inline unsigned gantry_minor(dev_t device) { return minor(device); }
static inline dev_t gantry_makedev(unsigned major_number, unsigned minor_number) {
  return makedev(major_number, minor_number);
}

// The constant's enum type and the function's parameter type import differently.
static inline int gantry_setrlimit(int resource, uint64_t soft, uint64_t hard) {
  struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
  return setrlimit((__rlimit_resource_t)resource, &limit);
}
static inline int gantry_waitid_pidfd(int pidfd, siginfo_t *info, int options) {
  return waitid((idtype_t)P_PIDFD, (id_t)pidfd, info, options);
}
static inline int gantry_siginfo_status(const siginfo_t *info) { return info->si_status; }
static inline int gantry_siginfo_code(const siginfo_t *info) { return info->si_code; }

// glibc declares the address as a transparent union, which imports as no usable type.
static inline int gantry_connect(int fd, const struct sockaddr *address, socklen_t size) {
  return connect(fd, address, size);
}

// Whether the kernel knows a system call: asked with arguments that every kernel refuses before it does anything
// (openat2, clone3, mount_setattr: a structure of size 0; pidfd_open: process -1).
static inline int gantry_has_syscall(long number) {
  int saved = errno;
  int known = syscall(number, -1L, 0L, 0L, 0L, 0L, 0L) >= 0 || errno != ENOSYS;
  errno = saved;
  return known;
}
static inline int gantry_has_openat2(void) { return gantry_has_syscall(SYS_openat2); }
static inline int gantry_has_pidfd(void) { return gantry_has_syscall(SYS_pidfd_open); }
static inline int gantry_has_mount_setattr(void) { return gantry_has_syscall(SYS_mount_setattr); }
static inline int gantry_has_clone3(void) { return gantry_has_syscall(SYS_clone3); }
