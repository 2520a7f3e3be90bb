// floor.c - what the kernel alone needs to start and remove one container on a bridge: no engine, no records, no checks
// of anybody's input. The least that a runtime with these features can take on this machine.
//
//     cc -O2 -o floor floor.c && sudo ./floor [-n COUNT] [-j WORKERS] [-d FOLDER] [-v] [--json]
//
// One container: overlay of one layer (-v: volatile); cgroups in version 2 and in the version 1 hierarchies memory, cpu,
// pids and devices, with limits; clone3(2) into mount, pid, network, uts and ipc namespaces and the cgroup; an interface
// pair whose far end is born in the namespace; address, default route and loopback; proc, sysfs, dev, devpts, shm,
// mqueue, cgroup, masked and read-only paths; pivot_root; bounding set, capabilities, no_new_privs, a seccomp filter of
// the real one's size; busybox. `start` ends when the program has been executed, `ended` when `true` has been reaped,
// `cycle` when all of it has been removed. Everything is in namespaces of its own, and nothing is left behind.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MUST(call) do { if ((long)(call) < 0) { fprintf(stderr, "floor.c:%d: %s: %m\n", __LINE__, #call); _exit(1); } } while (0)

enum { START, ENDED, CYCLE, FIGURES };
static const char *figure_names[FIGURES] = {"start", "ended", "cycle"};
static const char *v1_names[] = {"memory", "cpu", "pids", "devices"};
enum { V1_COUNT = 4, FILTER_SYSCALLS = 460 };
static char folder[200] = "/tmp", v2_root[64], v1_roots[V1_COUNT][64];
static int count = 200, workers = 1, is_volatile, is_json, bridge;
static double (*samples)[FIGURES];
static struct sock_filter filter[4 * FILTER_SYSCALLS];
static int filter_length;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static char *text(char *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsprintf(buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

static void put(const char *directory, const char *file, const char *value) {
    char path[400];
    int fd = open(text(path, "%s/%s", directory, file), O_WRONLY | O_CLOEXEC);
    MUST(fd);
    MUST(write(fd, value, strlen(value)));
    close(fd);
}

// ---- rtnetlink: messages are gathered in a buffer and sent as one datagram, of which the last is acknowledged.

struct batch { char bytes[2048]; int used; struct nlmsghdr *message; };

static void *begin(struct batch *b, int type, int flags, size_t size) {
    b->message = (void *)(b->bytes + b->used);
    memset(b->message, 0, NLMSG_SPACE(size));
    *b->message = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};
    return NLMSG_DATA(b->message);
}

static struct rtattr *attribute(struct batch *b, int type, const void *data, int size) {
    struct rtattr *a = (void *)((char *)b->message + NLMSG_ALIGN(b->message->nlmsg_len));
    *a = (struct rtattr){.rta_len = RTA_LENGTH(size), .rta_type = type};
    if (size) memcpy(RTA_DATA(a), data, size);
    b->message->nlmsg_len = NLMSG_ALIGN(b->message->nlmsg_len) + RTA_ALIGN(a->rta_len);
    return a;
}

static void close_nest(struct batch *b, struct rtattr *a) { a->rta_len = (char *)b->message + b->message->nlmsg_len - (char *)a; }
static void end(struct batch *b) { b->used += NLMSG_ALIGN(b->message->nlmsg_len); }

static void send_batch(int socket, struct batch *b) {
    char answer[4096];
    MUST(send(socket, b->bytes, b->used, 0));
    MUST(recv(socket, answer, sizeof answer, 0));
    struct nlmsgerr *error = NLMSG_DATA((struct nlmsghdr *)answer);
    errno = -error->error;
    MUST(error->error);
    b->used = 0;
}

static void link_up(struct batch *b, int index, int flags) {
    struct ifinfomsg *link = begin(b, RTM_NEWLINK, flags, sizeof *link);
    *link = (struct ifinfomsg){.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    end(b);
}

static void address(struct batch *b, int index, unsigned ip, int flags) {
    struct ifaddrmsg *message = begin(b, RTM_NEWADDR, NLM_F_CREATE | flags, sizeof *message);
    *message = (struct ifaddrmsg){.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = index};
    attribute(b, IFA_LOCAL, &ip, 4);
    end(b);
}

static unsigned ip_number(unsigned host) { return __builtin_bswap32(0x0a4d0000 | host); }

static void make_bridge(int socket) {
    struct batch b = {.used = 0};
    struct ifinfomsg *link = begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof *link);
    link->ifi_flags = link->ifi_change = IFF_UP;
    attribute(&b, IFLA_IFNAME, "floor0", 7);
    struct rtattr *information = attribute(&b, IFLA_LINKINFO, 0, 0);
    attribute(&b, IFLA_INFO_KIND, "bridge", 7);
    close_nest(&b, information);
    end(&b);
    send_batch(socket, &b);
    bridge = if_nametoindex("floor0");
    address(&b, bridge, ip_number(1), NLM_F_ACK);
    send_batch(socket, &b);
}

static void make_pair(int socket, const char *name, int pid) {
    struct batch b = {.used = 0};
    struct ifinfomsg *link = begin(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof *link);
    link->ifi_flags = link->ifi_change = IFF_UP;
    attribute(&b, IFLA_IFNAME, name, strlen(name) + 1);
    attribute(&b, IFLA_MASTER, &bridge, 4);
    struct rtattr *information = attribute(&b, IFLA_LINKINFO, 0, 0);
    attribute(&b, IFLA_INFO_KIND, "veth", 5);
    struct rtattr *data = attribute(&b, IFLA_INFO_DATA, 0, 0), *peer = attribute(&b, VETH_INFO_PEER, 0, 0);
    memset((char *)b.message + b.message->nlmsg_len, 0, sizeof(struct ifinfomsg));
    b.message->nlmsg_len += sizeof(struct ifinfomsg);
    attribute(&b, IFLA_IFNAME, "eth0", 5);
    attribute(&b, IFLA_NET_NS_PID, &pid, 4);
    close_nest(&b, peer), close_nest(&b, data), close_nest(&b, information);
    end(&b);
    send_batch(socket, &b);
}

static int route_socket(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    MUST(fd);
    return fd;
}

// ---- The container's side.

static void child_network(unsigned host) {
    struct batch b = {.used = 0};
    int socket = route_socket(), index = if_nametoindex("eth0");
    unsigned gateway = ip_number(1);
    link_up(&b, 1, 0);
    link_up(&b, index, 0);
    address(&b, index, ip_number(host), 0);
    struct rtmsg *route = begin(&b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_ACK, sizeof *route);
    *route = (struct rtmsg){.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST};
    attribute(&b, RTA_GATEWAY, &gateway, 4);
    end(&b);
    send_batch(socket, &b);
    close(socket);
}

static void child_mounts(void) {
    const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    static const struct { const char *path; int major, minor; } devices[] = {
        {"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
    static const char *links[][2] = {{"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"},
        {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"}};
    static const char *files[] = {"proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list"};
    static const char *folders[] = {"proc/acpi", "proc/scsi", "sys/firmware"};
    static const char *read_only[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
    MUST(mount("proc", "proc", "proc", plain, 0));
    MUST(mount("sysfs", "sys", "sysfs", plain | MS_RDONLY, 0));
    MUST(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k"));
    for (int i = 0; i < 6; i++) MUST(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)));
    for (int i = 0; i < 5; i++) MUST(symlink(links[i][0], links[i][1]));
    MUST(mkdir("dev/pts", 0755));
    MUST(mkdir("dev/shm", 0755));
    MUST(mkdir("dev/mqueue", 0755));
    MUST(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
    MUST(mount("shm", "dev/shm", "tmpfs", plain, "mode=1777,size=65536k"));
    MUST(mount("mqueue", "dev/mqueue", "mqueue", plain, 0));
    if (v2_root[0]) MUST(mount("cgroup2", "sys/fs/cgroup", "cgroup2", plain | MS_RDONLY, 0));
    // What this kernel does not have needs no mask.
    for (int i = 0; i < 4; i++) mount("dev/null", files[i], 0, MS_BIND, 0);
    for (int i = 0; i < 3; i++) mount("tmpfs", folders[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1");
    for (int i = 0; i < 5; i++)
        if (mount(read_only[i], read_only[i], 0, MS_BIND, 0) == 0)
            MUST(mount(0, read_only[i], 0, MS_REMOUNT | MS_BIND | MS_RDONLY | plain, 0));
    MUST(syscall(SYS_pivot_root, ".", "."));
    MUST(umount2(".", MNT_DETACH));
    MUST(chdir("/"));
}

// A search tree over the numbers of system calls, as libseccomp's optimisation 2 makes it. What programs that start and
// sleep need is below the first number that is refused.
static void grow_filter(int low, int high) {
    enum { ALWAYS_ALLOWED = 340 };
    if (low == high) {
        int refused = low > ALWAYS_ALLOWED && low % 2;
        filter[filter_length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refused ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW);
        return;
    }
    int middle = (low + high + 1) / 2;
    filter[filter_length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, middle, 0, 1);
    int jump = filter_length++;
    grow_filter(low, middle - 1);
    filter[jump] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, filter_length - jump - 1);
    grow_filter(middle, high);
}

static void make_filter(void) {
    filter[filter_length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    grow_filter(0, FILTER_SYSCALLS - 1);
}

static void child_privileges(void) {
    const unsigned long long kept = 0xa80425fb;  // Docker's 14
    for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        if (!(kept >> i & 1)) MUST(prctl(PR_CAPBSET_DROP, i, 0, 0, 0));
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}, {0}};
    MUST(syscall(SYS_capset, &header, data));
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    struct sock_fprog program = {.len = filter_length, .filter = filter};
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static void child(const char *root, const int *v1_tasks, int go, unsigned host) {
    char byte, *arguments[] = {"true", 0}, *environment[] = {"PATH=/bin", 0};
    for (int i = 0; i < V1_COUNT; i++)
        if (v1_tasks[i] >= 0) MUST(write(v1_tasks[i], "0", 1));
    MUST(unshare(CLONE_NEWCGROUP));
    MUST(sethostname("floor", 5));
    MUST(mount("", "/", 0, MS_REC | MS_SLAVE, 0));
    MUST(chdir(root));
    child_mounts();
    MUST(read(go, &byte, 1));
    child_network(host);
    child_privileges();
    execve("/bin/true", arguments, environment);
    MUST(-1);
}

// ---- One container from the outside.

static void make_cgroups(const char *name, int *v2, int *v1_tasks) {
    char path[400];
    *v2 = -1;
    if (v2_root[0]) {
        MUST(mkdir(text(path, "%s/%s", v2_root, name), 0755));
        MUST(*v2 = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    for (int i = 0; i < V1_COUNT; i++) {
        v1_tasks[i] = -1;
        if (!v1_roots[i][0]) continue;
        MUST(mkdir(text(path, "%s/%s", v1_roots[i], name), 0755));
        switch (i) {
        case 0: put(path, "memory.limit_in_bytes", "268435456"); break;
        case 1: put(path, "cpu.cfs_quota_us", "150000"); break;
        case 2: put(path, "pids.max", "512"); break;
        case 3:
            put(path, "devices.deny", "a");
            static const char *rules[] = {"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 136:* rwm"};
            for (int r = 0; r < 9; r++) put(path, "devices.allow", rules[r]);
        }
        MUST(v1_tasks[i] = open(strcat(path, "/tasks"), O_WRONLY | O_CLOEXEC));
    }
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

static void remove_container(const char *name, const char *directory) {
    char path[400];
    MUST(umount2(text(path, "%s/root", directory), MNT_DETACH));
    if (v2_root[0]) MUST(rmdir(text(path, "%s/%s", v2_root, name)));
    for (int i = 0; i < V1_COUNT; i++)
        if (v1_roots[i][0]) MUST(rmdir(text(path, "%s/%s", v1_roots[i], name)));
    MUST(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

static void run_one(int worker, int number, int socket, double *figures) {
    char name[64], directory[300], root[320], layer[320], options[1400], pair[16], path[320];
    int v2, v1_tasks[V1_COUNT], go[2], executed[2], pidfd = -1;
    double begun = now_ms();
    text(name, "floor-%d-%d-%d", getppid(), worker, number);
    MUST(mkdir(text(directory, "%s/%s", folder, name), 0700));
    MUST(mkdir(text(root, "%s/root", directory), 0755));
    MUST(mkdir(text(path, "%s/upper", directory), 0755));
    MUST(mkdir(text(path, "%s/work", directory), 0755));
    text(options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work%s", text(layer, "%s/layer", folder), directory, directory,
         is_volatile ? ",volatile" : "");
    MUST(mount("overlay", root, "overlay", 0, options));
    make_cgroups(name, &v2, v1_tasks);
    MUST(pipe2(go, O_CLOEXEC));
    MUST(pipe2(executed, O_CLOEXEC));
    struct clone_args arguments = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD | (v2 >= 0 ? CLONE_INTO_CGROUP : 0),
        .exit_signal = SIGCHLD, .pidfd = (unsigned long)&pidfd, .cgroup = v2 >= 0 ? v2 : 0};
    int pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    MUST(pid);
    if (pid == 0) child(root, v1_tasks, go[0], 2 + worker * 4096 + number);
    make_pair(socket, text(pair, "fl%x-%x", worker, number), pid);
    MUST(write(go[1], "", 1));
    close(executed[1]);
    char byte;
    MUST(read(executed[0], &byte, 1));  // its end: closed by execve
    figures[START] = now_ms() - begun;
    siginfo_t information;
    MUST(waitid(P_PIDFD, pidfd, &information, WEXITED));
    if (information.si_code != CLD_EXITED || information.si_status) _exit(1);
    figures[ENDED] = now_ms() - begun;
    int descriptors[] = {v2, v1_tasks[0], v1_tasks[1], v1_tasks[2], v1_tasks[3], go[0], go[1], executed[0], pidfd};
    for (int i = 0; i < 9; i++) if (descriptors[i] >= 0) close(descriptors[i]);
    remove_container(name, directory);
    figures[CYCLE] = now_ms() - begun;
}

static int ascending(const void *left, const void *right) { return *(double *)left < *(double *)right ? -1 : *(double *)left > *(double *)right; }

static void report(double wall_ms) {
    double *values = calloc(count, sizeof *values);
    printf(is_json ? "{\"containers_per_second\": %.1f" : "%.0f containers/s\n", count / wall_ms * 1e3);
    for (int f = 0; f < FIGURES; f++) {
        for (int i = 0; i < count; i++) values[i] = samples[i][f];
        qsort(values, count, sizeof *values, ascending);
        printf(is_json ? ", \"%s\": {\"p10\": %.3f, \"median\": %.3f, \"p90\": %.3f}" : "%-6s p10 %6.2f  median %6.2f  p90 %6.2f ms\n",
               figure_names[f], values[count / 10], values[count / 2], values[count * 9 / 10]);
    }
    printf(is_json ? "}\n" : "");
}

static void prepare(void) {
    char path[400];
    struct stat status;
    MUST(unshare(CLONE_NEWNS | CLONE_NEWNET));
    MUST(mount("", "/", 0, MS_REC | MS_PRIVATE, 0));
    for (int unified = 0; unified < 2 && !v2_root[0]; unified++)
        if (!stat(text(path, "/sys/fs/cgroup/%scgroup.procs", unified ? "" : "unified/"), &status))
            text(v2_root, "/sys/fs/cgroup%s", unified ? "" : "/unified");
    for (int i = 0; i < V1_COUNT; i++)
        if (!stat(text(path, "/sys/fs/cgroup/%s/tasks", v1_names[i]), &status)) text(v1_roots[i], "/sys/fs/cgroup/%s", v1_names[i]);
    MUST(mkdtemp(strcat(folder, "/floor.XXXXXX")) ? 0 : -1);
    const char *made[] = {"", "/bin", "/proc", "/sys", "/dev", "/tmp", "/etc"};
    for (int i = 0; i < 7; i++) MUST(mkdir(text(path, "%s/layer%s", folder, made[i]), 0755));
    char command[500];
    if (system(text(command, "cp \"$(command -v busybox)\" %s/layer/bin/true", folder)) != 0) exit(1);
    samples = mmap(0, count * sizeof *samples, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    make_filter();
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-v")) is_volatile = 1;
        else if (!strcmp(argv[i], "--json")) is_json = 1;
        else if (i + 1 < argc && !strcmp(argv[i], "-n")) count = atoi(argv[++i]);
        else if (i + 1 < argc && !strcmp(argv[i], "-j")) workers = atoi(argv[++i]);
        else if (i + 1 < argc && !strcmp(argv[i], "-d")) snprintf(folder, sizeof folder - 20, "%s", argv[++i]);
        else return fprintf(stderr, "usage: floor [-n COUNT] [-j WORKERS] [-d FOLDER] [-v] [--json]\n"), 2;
    }
    if (workers < 1 || count < workers) return 2;
    int each = count / workers, failed = 0, status;
    count = each * workers;
    prepare();
    make_bridge(route_socket());
    double begun = now_ms();
    for (int w = 0; w < workers; w++) {
        if (fork()) continue;
        int socket = route_socket();
        for (int i = 0; i < each; i++) run_one(w, i, socket, samples[w * each + i]);
        _exit(0);
    }
    while (wait(&status) > 0) failed |= status;
    double wall = now_ms() - begun;
    nftw(folder, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (failed) return fprintf(stderr, "floor: a worker failed\n"), 1;
    report(wall);
}
