// Tries every system call that reaches the kernel's wider surface and prints one line for each: its name and what came
// of it, `ok` or the error's number. Built statically by the tests, run inside containers. The arguments are such that a
// call that gets through does nothing: none of them could succeed in harming the host.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

struct arguments {
  const char *name;
  long number;
  unsigned long a, b, c, d, e;
};

static char zeros[4096];

static void report(const char *name, const char *text) {
  char line[128];
  int count = snprintf(line, sizeof line, "%s %s\n", name, text);
  if (write(1, line, (size_t)count) != count) _exit(9);
}

static void attempt(const struct arguments *call) {
  pid_t child = fork();
  if (child == 0) {
    pid_t self = getpid();
    errno = 0;
    long result = syscall(call->number, call->a, call->b, call->c, call->d, call->e, 0L);
    // A clone that was allowed returns twice.
    if (getpid() != self) _exit(0);
    char text[32];
    if (result >= 0) snprintf(text, sizeof text, "ok");
    else snprintf(text, sizeof text, "%d", errno);
    report(call->name, text);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    char text[32];
    snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
    report(call->name, text);
  }
}

#define P (unsigned long)(uintptr_t)
#define CLONE(flag) {"clone:" #flag, SYS_clone, CLONE_##flag | SIGCHLD}
#define UNSHARE(flag) {"unshare:" #flag, SYS_unshare, CLONE_##flag}
#define FAMILY(name, number, type) {"socket:" name, SYS_socket, number, type}

int main(void) {
  uint64_t handle[4] = {8};
  struct {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, rest[6];
  } clone3 = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  struct iovec from = {zeros, 1}, to = {zeros + 8, 1};
  long badTime[2] = {-1, -1};
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .disabled = 1};
  union bpf_attr bpf;
  memset(&bpf, 0, sizeof bpf);
  bpf.map_type = BPF_MAP_TYPE_ARRAY;
  bpf.key_size = 4, bpf.value_size = 4, bpf.max_entries = 1;
  const struct arguments calls[] = {
      {"keyctl", SYS_keyctl, 0 /* get keyring id */, (unsigned long)-3, 0},
      {"add_key", SYS_add_key, P "user", P "gantry", P "x", 1, (unsigned long)-3},
      {"request_key", SYS_request_key, P "user", P "gantry", 0, 0},
      {"userfaultfd", SYS_userfaultfd, 1 /* user mode only */},
      {"io_uring_setup", SYS_io_uring_setup, 1, P zeros},
      {"io_uring_enter", SYS_io_uring_enter, (unsigned long)-1, 1},
      {"io_uring_register", SYS_io_uring_register, (unsigned long)-1},
      {"bpf", SYS_bpf, BPF_MAP_CREATE, P & bpf, sizeof bpf},
      {"perf_event_open", SYS_perf_event_open, P & event, 0, (unsigned long)-1, (unsigned long)-1, 0},
      FAMILY("vsock", 40, SOCK_STREAM),
      FAMILY("alg", 38, SOCK_SEQPACKET),
      FAMILY("decnet", 12, SOCK_SEQPACKET),
      FAMILY("econet", 19, SOCK_DGRAM),
      FAMILY("atmsvc", 20, SOCK_DGRAM),
      FAMILY("irda", 23, SOCK_STREAM),
      FAMILY("wanpipe", 25, SOCK_DGRAM),
      FAMILY("isdn", 34, SOCK_DGRAM),
      FAMILY("caif", 37, SOCK_STREAM),
      FAMILY("netlink", AF_NETLINK, SOCK_RAW),
      FAMILY("inet", AF_INET, SOCK_STREAM),
      CLONE(NEWUSER),
      CLONE(NEWNS),
      CLONE(NEWPID),
      CLONE(NEWNET),
      CLONE(NEWUTS),
      CLONE(NEWIPC),
      CLONE(NEWCGROUP),
      {"clone:plain", SYS_clone, SIGCHLD},
      {"clone3", SYS_clone3, P & clone3, sizeof clone3},
      UNSHARE(NEWUSER),
      UNSHARE(NEWNS),
      UNSHARE(NEWPID),
      UNSHARE(NEWNET),
      UNSHARE(NEWUTS),
      UNSHARE(NEWIPC),
      UNSHARE(NEWCGROUP),
      {"unshare:NEWTIME", SYS_unshare, 0x80},
      {"unshare:FILES", SYS_unshare, CLONE_FILES},
      {"setns", SYS_setns, (unsigned long)-1, 0},
      {"mount", SYS_mount, P "none", P "/tmp", P "tmpfs", 0, 0},
      {"umount2", SYS_umount2, P "/nowhere", 0},
      {"pivot_root", SYS_pivot_root, P "/nowhere", P "/nowhere"},
      {"fsopen", SYS_fsopen, P "tmpfs", 0},
      {"fsconfig", SYS_fsconfig, (unsigned long)-1, 0},
      {"fsmount", SYS_fsmount, (unsigned long)-1, 0, 0},
      {"fspick", SYS_fspick, (unsigned long)AT_FDCWD, P "/tmp", 0},
      {"open_tree", SYS_open_tree, (unsigned long)AT_FDCWD, P "/tmp", 1},
      {"move_mount", SYS_move_mount, (unsigned long)-1, P "", (unsigned long)-1, P "", 0},
      {"mount_setattr", SYS_mount_setattr, (unsigned long)-1, P "", 0, 0, 0},
      {"open_by_handle_at", SYS_open_by_handle_at, (unsigned long)AT_FDCWD, P handle, O_RDONLY},
      {"kexec_load", SYS_kexec_load, 0, 17, 0, 1UL << 40},
      {"init_module", SYS_init_module, P zeros, 1, P ""},
      {"finit_module", SYS_finit_module, (unsigned long)-1, P "", 0},
      {"delete_module", SYS_delete_module, P "gantry_no_such_module", O_NONBLOCK},
      {"swapon", SYS_swapon, P "/nowhere", 0},
      {"swapoff", SYS_swapoff, P "/nowhere"},
      {"reboot", SYS_reboot, 0, 0, 0, 0},
      {"settimeofday", SYS_settimeofday, P badTime, 0},
      {"clock_settime", SYS_clock_settime, 0, P badTime},
      {"adjtimex", SYS_adjtimex, P zeros},
      {"acct", SYS_acct, P "/nowhere"},
      {"quotactl", SYS_quotactl, 0, 0, 0, 0},
      {"quotactl_fd", SYS_quotactl_fd, (unsigned long)-1, 0, 0, 0},
      {"syslog", SYS_syslog, 10 /* size of the buffer */, 0, 0},
      {"sethostname", SYS_sethostname, P "gantry", 6},
      {"setdomainname", SYS_setdomainname, P "gantry", 6},
      {"vhangup", SYS_vhangup},
      {"kcmp", SYS_kcmp, 1, 1, 99, 0, 0},
      {"pidfd_getfd", SYS_pidfd_getfd, (unsigned long)-1, 0, 0},
      {"process_madvise", SYS_process_madvise, (unsigned long)-1, P & from, 1, 0, 0},
      {"set_mempolicy", SYS_set_mempolicy, 0, 0, 0},
      {"mbind", SYS_mbind, 0, 0, 0, 0, 0},
      {"move_pages", SYS_move_pages, 0, 0, 0, 0, 0},
      {"migrate_pages", SYS_migrate_pages, 0, 0, 0, 0},
      {"fanotify_init", SYS_fanotify_init, 0, O_RDONLY},
      {"lookup_dcookie", 212 /* x86 */, 0, P zeros, 1},
      {"personality:READ_IMPLIES_EXEC", SYS_personality, 0x0400000},
      {"personality:ADDR_NO_RANDOMIZE", SYS_personality, 0x0040000},
      {"personality:PER_BSD", SYS_personality, 0x0006},
      {"personality:query", SYS_personality, 0xffffffff},
#ifdef __x86_64__
      {"iopl", SYS_iopl, 3},
      {"ioperm", SYS_ioperm, 0x80, 1, 1},
      {"kexec_file_load", SYS_kexec_file_load, (unsigned long)-1, (unsigned long)-1, 0, 0, 1UL << 40},
      {"uselib", SYS_uselib, P "/nowhere"},
      {"ustat", SYS_ustat, 0, P zeros},
      {"sysfs", SYS_sysfs, 3},
      {"_sysctl", SYS__sysctl, P zeros},
      {"nfsservctl", SYS_nfsservctl, 0, 0, 0},
#endif
      // Other processes: 1 is the container's own first process, and no number reaches the host's.
      {"process_vm_readv:none", SYS_process_vm_readv, 4194303, P & from, 1, P & to, 1},
      {"ptrace:none", SYS_ptrace, 0x4206 /* SEIZE */, 4194303, 0, 0},
      {"ioctl:TIOCSTI", SYS_ioctl, 0, TIOCSTI, P "x"},
      {"memfd_secret", SYS_memfd_secret, 0xff},
      {"mknod:block", SYS_mknod, P "/tmp/block", S_IFBLK | 0600, 0x800},
      {"future", 999},
  };
  mknod("/tmp/kmem", S_IFCHR | 0600, 0x102);
  mknod("/tmp/disk", S_IFBLK | 0600, 0x800);
  for (unsigned index = 0; index < sizeof calls / sizeof calls[0]; index++) attempt(&calls[index]);
  // Nodes may be made (CAP_MKNOD), devices behind them not opened.
  const struct arguments opens[] = {
      {"open:kmem", SYS_open, P "/tmp/kmem", O_RDONLY},
      {"open:disk", SYS_open, P "/tmp/disk", O_RDONLY},
  };
  for (unsigned index = 0; index < 2; index++) attempt(&opens[index]);
  return 0;
}
