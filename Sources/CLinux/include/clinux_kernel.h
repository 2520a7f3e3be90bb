// Namespaces, id-mapped mounts, scheduling, memory policy, keyrings: used by gantry-supervisor only.
#pragma once
#include <linux/keyctl.h>
#include <linux/mempolicy.h>
#include <linux/nsfs.h>
#include <sys/personality.h>

// _IO macro: the CLONE_NEW* flag of a namespace's descriptor. ioctl_ns(2).
static inline int gantry_namespace_type(int fd) { return ioctl(fd, NS_GET_NSTYPE); }

// As gantry_clone3, but the new process is a child of the caller's parent. clone(2), CLONE_PARENT.
static inline pid_t gantry_clone3_sibling(uint64_t flags, int cgroup) {
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = flags | CLONE_PARENT | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0);
  arguments.cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0;
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

// No glibc wrapper: capget(2), capset(2). setfsuid(2) takes capabilities off the effective set; this puts them back.
static inline int gantry_restore_effective(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) return -1;
  for (int word = 0; word < 2; word++) data[word].effective = data[word].permitted;
  return (int)syscall(SYS_capset, &header, data);
}
// Their headers are not in Glibc's module.
static inline void gantry_set_file_ids(uid_t user, gid_t group) {
  syscall(SYS_setfsgid, group);
  syscall(SYS_setfsuid, user);
}

// struct mount_attr by value: maps the ids of a detached mount as the user namespace does. mount_setattr(2).
static inline int gantry_mount_idmap(int fd, int recursive, int user_namespace) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_namespace};
  return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes);
}
// As gantry_open_tree_clone, of a link itself.
static inline int gantry_open_tree_clone_link(const char *path, int recursive) {
  return open_tree(
      AT_FDCWD, path,
      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (unsigned)AT_SYMLINK_NOFOLLOW | (recursive ? AT_RECURSIVE : 0));
}
// The command is a C enum.
static inline int gantry_fsconfig_reconfigure(int fs) { return fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0); }
static inline int gantry_fspick(int fd) { return fspick(fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH); }

// No glibc wrapper: sched_setattr(2).
static inline int gantry_sched_setattr(
    pid_t pid, uint32_t policy, uint64_t flags, int32_t nice, uint32_t priority, uint64_t runtime, uint64_t deadline,
    uint64_t period) {
  // Its header clashes with <sched.h>: struct sched_attr in its first version.
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {48, policy, flags, nice, priority, runtime, deadline, period};
  return (int)syscall(SYS_sched_setattr, pid, &attributes, 0);
}
// cpu_set_t is a structure of fixed size; the kernel takes any bit mask. sched_setaffinity(2).
static inline int gantry_sched_setaffinity(pid_t pid, const void *mask, size_t byte_count) {
  return (int)syscall(SYS_sched_setaffinity, pid, byte_count, mask);
}
// No glibc wrapper: ioprio_set(2) of one process.
static inline int gantry_ioprio_set(pid_t pid, int priority) { return (int)syscall(SYS_ioprio_set, 1, pid, priority); }
// No glibc wrapper: set_mempolicy(2); `bits` counts the bits of the mask.
static inline int gantry_set_mempolicy(int mode, const void *mask, unsigned long bits) {
  return (int)syscall(SYS_set_mempolicy, mode, mask, bits);
}
// No glibc wrapper: keyctl(2), a new anonymous session keyring.
static inline long gantry_new_session_keyring(void) {
  return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
}

// The resource's enum type and the constants import differently: getrlimit(2) of any process.
static inline int gantry_get_limit(pid_t pid, int resource, uint64_t *soft, uint64_t *hard) {
  struct rlimit limit;
  int result = prlimit(pid, (enum __rlimit_resource)resource, NULL, &limit);
  *soft = limit.rlim_cur;
  *hard = limit.rlim_max;
  return result;
}
