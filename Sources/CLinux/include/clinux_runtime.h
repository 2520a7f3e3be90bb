// Mounts, namespaces, cgroups, process attributes: used by ContainerRuntime and gantry-supervisor.
#pragma once
#include "clinux_datagrams.h"
#include <grp.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <net/if.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <termios.h>

// No glibc wrapper: clone3(2), always fork-like (no CLONE_VM, no own stack), so it returns twice like fork and needs
// no trampoline. Only for the single-threaded supervisor: the child keeps using malloc and Swift.
static inline pid_t gantry_clone3(uint64_t flags, int *pidfd, int cgroup) {
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = flags | CLONE_PIDFD | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0);
  arguments.pidfd = (uint64_t)(uintptr_t)pidfd;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0;
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

// fork(2) with CLONE_PARENT: the new process is a sibling. clone(2) and not clone3(2), which filters refuse; only for
// the single-threaded supervisor's children, which keep using malloc and Swift.
static inline pid_t gantry_clone_sibling(void) { return (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0); }

// No glibc wrapper: pivot_root(2).
static inline int gantry_pivot_root(const char *new_root, const char *put_old) {
  return (int)syscall(SYS_pivot_root, new_root, put_old);
}

// The command is a C enum, which Swift imports as a type of its own.
static inline int gantry_fsconfig_flag(int fs, const char *key) {
  return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0);
}
static inline int gantry_fsconfig_string(int fs, const char *key, const char *value) {
  return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}
static inline int gantry_fsconfig_create(int fs) { return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0); }

// struct mount_attr by value, and flags that import as different integer types.
static inline int gantry_mount_setattr(int fd, int recursive, uint64_t set, uint64_t clear, uint64_t propagation) {
  struct mount_attr attributes = {.attr_set = set, .attr_clr = clear, .propagation = propagation};
  return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes);
}
// Clones the mount at a path, or (empty path) at a descriptor: a detached mount. open_tree(2).
static inline int gantry_open_tree_clone(int dir, const char *path, int recursive) {
  return open_tree(
      dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (unsigned)AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0));
}
// Attaches a detached mount on the object that `target` refers to. move_mount(2).
static inline int gantry_move_mount(int mount, int target) {
  return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

// Whether a path, links followed, is the root of a mount. statx(2).
static inline int gantry_is_mount_root(const char *path) {
  struct statx status;
  if (statx(AT_FDCWD, path, 0, STATX_TYPE, &status) < 0) return -1;
  return status.stx_attributes & STATX_ATTR_MOUNT_ROOT ? 1 : 0;
}

// Variadic in glibc.
static inline int gantry_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  return prctl(option, a, b, c, d);
}

// No glibc wrapper: capset(2), version 3, of the calling thread.
static inline int gantry_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
      {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};
  return (int)syscall(SYS_capset, &header, data);
}

// No glibc wrapper: seccomp(2), SECCOMP_SET_MODE_FILTER. `bytes` holds `count` struct sock_filter.
static inline int gantry_seccomp_filter(unsigned flags, const void *bytes, unsigned short count) {
  struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)bytes};
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

// No glibc wrapper: pidfd_getfd(2). Returns a close-on-exec duplicate of the process's descriptor.
static inline int gantry_pidfd_getfd(int pidfd, int descriptor) {
  return (int)syscall(SYS_pidfd_getfd, pidfd, descriptor, 0);
}

// One word shared by the supervisor and its child: atomic, as neither may make a system call to wait for the other.
static inline int32_t *gantry_shared_words(void) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? NULL : page;
}
static inline void gantry_word_set(int32_t *word, int32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
static inline int32_t gantry_word_get(int32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
// Runs in the container's process with its filter on. clock_gettime(2) is answered by the vDSO.
static inline int gantry_word_await(int32_t *word, int seconds) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  for (time_t end = now.tv_sec + seconds; now.tv_sec <= end; clock_gettime(CLOCK_MONOTONIC, &now)) {
    for (int round = 0; round < 1000; round++)
      if (gantry_word_get(word)) return 0;
  }
  return -1;
}

// _IO macros with arguments do not import.
static inline int gantry_pty_peer(int ptmx) { return ioctl(ptmx, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC); }
static inline int gantry_pty_unlock(int ptmx) {
  int unlock = 0;
  return ioctl(ptmx, TIOCSPTLCK, &unlock);
}
static inline int gantry_pty_resize(int terminal, unsigned short rows, unsigned short columns) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  return ioctl(terminal, TIOCSWINSZ, &size);
}
static inline int gantry_pty_control(int terminal) { return ioctl(terminal, TIOCSCTTY, 0); }

// One descriptor with some bytes over a Unix socket.
static inline ssize_t gantry_send_descriptor_with(int socket, int descriptor, const void *bytes, size_t count) {
  return gantry_send_descriptors(socket, &descriptor, 1, bytes, count);
}
static inline ssize_t gantry_send_descriptor(int socket, int descriptor) {
  char byte = 0;
  return gantry_send_descriptor_with(socket, descriptor, &byte, 1);
}
// Returns the descriptor (close-on-exec), or -1; errno ENODATA when the peer closed or sent none.
static inline int gantry_receive_descriptor(int socket) {
  char byte;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (count < 0) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (count == 0 || !header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    errno = ENODATA;
    return -1;
  }
  int descriptor;
  memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return descriptor;
}

// struct ifreq is a union inside: brings the loopback interface of the caller's network namespace up.
static inline int gantry_loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  int result = ioctl(fd, SIOCSIFFLAGS, &request);
  int code = errno;
  close(fd);
  errno = code;
  return result;
}

// sockaddr_un's path is a tuple in Swift. Returns -1 with ENAMETOOLONG when `path` does not fit.
static inline int gantry_unix_address(struct sockaddr_un *address, const char *path) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen(path) >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address->sun_path, path, strlen(path) + 1);
  return 0;
}
static inline int gantry_unix_bind(int fd, const char *path) {
  struct sockaddr_un address;
  return gantry_unix_address(&address, path) ? -1 : bind(fd, (struct sockaddr *)&address, sizeof address);
}
// The address parameters are transparent unions.
static inline int gantry_unix_accept(int fd) { return accept4(fd, NULL, NULL, SOCK_CLOEXEC); }
static inline int gantry_unix_connect(int fd, const char *path) {
  struct sockaddr_un address;
  return gantry_unix_address(&address, path) ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
}

// The resource's enum type and the constants import differently; RLIM_INFINITY is a cast.
static inline int gantry_prlimit(pid_t pid, int resource, uint64_t soft, uint64_t hard) {
  struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
  return prlimit(pid, (enum __rlimit_resource)resource, &limit, NULL);
}

// Both Glibc and this module declare the variable, which makes its name ambiguous.
static inline char **gantry_environment(void) { return environ; }

// glibc hides signals 32 and 33 from sigaction(2), and its posix_spawn leaves them ignored, which execve passes on.
static inline void gantry_default_internal_signals(void) {
  const unsigned long action[4] = {0, 0, 0, 0};
  for (int number = 32; number < 34; number++) syscall(SYS_rt_sigaction, number, action, NULL, 8);
}

// Function-like macro.
static inline int gantry_is_character_device(mode_t mode) { return S_ISCHR(mode); }

// Unsigned expressions that do not import as constants.
enum { AUDIT_ARCH_X86_64_NATIVE = (int)AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64_NATIVE = (int)AUDIT_ARCH_AARCH64 };
enum { AUDIT_ARCH_I386_NATIVE = (int)AUDIT_ARCH_I386, AUDIT_ARCH_ARM_NATIVE = (int)AUDIT_ARCH_ARM };

// Whether seccomp(2) takes a flag: without a filter it says EFAULT, and EINVAL for what it does not know.
static inline int gantry_seccomp_knows_flag(unsigned int flag) {
  // Of use with a listener only.
  if (flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) flag |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL) < 0 && errno == EFAULT;
}
