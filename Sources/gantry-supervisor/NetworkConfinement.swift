import CLinux
import Glibc
import LinuxSystem

/// What the network process keeps of its privileges: it reads what strangers send.
enum NetworkConfinement {
    /// Each container takes two descriptors, a question under way one, a relayed connection six.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            _ = gantry_setrlimit(Int32(RLIMIT_NOFILE.rawValue), UInt64(limit.rlim_max), UInt64(limit.rlim_max))
        }
    }

    static func apply() throws(SystemError) {
        raiseDescriptorLimit()
        try check("prctl") { gantry_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) }
        try check("prctl") { gantry_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
        // Ports below 1024 are published too.
        let kept = UInt64(1) << UInt64(CAP_NET_BIND_SERVICE)
        let capabilityCountMax: UInt = 64
        for capability in 0..<capabilityCountMax where capability != UInt(CAP_NET_BIND_SERVICE) {
            // EINVAL: one that this kernel does not know.
            _ = gantry_prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        }
        try check("capset") { gantry_capset(kept, kept, 0) }
        try filter()
    }

    // MARK: - seccomp(2)

    /// What serving takes: sockets, epoll, memory, and reading small files.
    private static let calls: [Int32] = [
        Int32(SYS_read), Int32(SYS_readv), Int32(SYS_write), Int32(SYS_writev), Int32(SYS_close), Int32(SYS_fstat),
        Int32(SYS_newfstatat), Int32(SYS_statx), Int32(SYS_lseek), Int32(SYS_openat), Int32(SYS_getdents64),
        Int32(SYS_faccessat), Int32(SYS_faccessat2), Int32(SYS_unlinkat), Int32(SYS_fcntl), Int32(SYS_ioctl),
        Int32(SYS_memfd_create), Int32(SYS_mmap), Int32(SYS_munmap), Int32(SYS_mremap), Int32(SYS_mprotect),
        Int32(SYS_madvise), Int32(SYS_brk), Int32(SYS_futex), Int32(SYS_getrandom), Int32(SYS_clock_gettime),
        Int32(SYS_clock_nanosleep), Int32(SYS_nanosleep), Int32(SYS_getpid), Int32(SYS_gettid), Int32(SYS_tgkill),
        Int32(SYS_rt_sigaction), Int32(SYS_rt_sigprocmask), Int32(SYS_rt_sigreturn), Int32(SYS_sched_yield),
        Int32(SYS_restart_syscall), Int32(SYS_exit), Int32(SYS_exit_group), Int32(SYS_socket), Int32(SYS_bind),
        Int32(SYS_listen), Int32(SYS_accept), Int32(SYS_accept4), Int32(SYS_connect), Int32(SYS_shutdown),
        Int32(SYS_getsockname), Int32(SYS_getpeername), Int32(SYS_getsockopt), Int32(SYS_setsockopt),
        Int32(SYS_sendto), Int32(SYS_sendmsg), Int32(SYS_sendmmsg), Int32(SYS_recvfrom), Int32(SYS_recvmsg),
        Int32(SYS_recvmmsg), Int32(SYS_epoll_create1), Int32(SYS_epoll_ctl), Int32(SYS_epoll_pwait),
        Int32(SYS_epoll_pwait2), Int32(SYS_ppoll), Int32(SYS_pipe2), Int32(SYS_splice), Int32(SYS_getuid),
        Int32(SYS_geteuid), Int32(SYS_getgid), Int32(SYS_getegid),
    ]

    #if arch(x86_64)
        private static let architecture = UInt32(truncatingIfNeeded: AUDIT_ARCH_X86_64_NATIVE)
        /// Calls that newer architectures do without.
        private static let oldCalls: [Int32] = [
            Int32(SYS_open), Int32(SYS_stat), Int32(SYS_lstat), Int32(SYS_access), Int32(SYS_unlink),
            Int32(SYS_epoll_wait), Int32(SYS_poll), Int32(SYS_time),
        ]
    #else
        private static let architecture = UInt32(truncatingIfNeeded: AUDIT_ARCH_AARCH64_NATIVE)
        private static let oldCalls: [Int32] = []
    #endif

    /// Everything else is answered EPERM. A jump over the rest of the list is 8 bits wide, so that each call has a
    /// return of its own.
    private static func filter() throws(SystemError) {
        let load = UInt16(BPF_LD | BPF_W | BPF_ABS)
        let compare = UInt16(BPF_JMP | BPF_JEQ | BPF_K)
        let end = UInt16(BPF_RET | BPF_K)
        let (allow, refuse, kill): (UInt32, UInt32, UInt32) = (0x7fff_0000, 0x0005_0000 | UInt32(EPERM), 0x8000_0000)
        var program = [
            sock_filter(code: load, jt: 0, jf: 0, k: 4), sock_filter(code: compare, jt: 1, jf: 0, k: architecture),
            sock_filter(code: end, jt: 0, jf: 0, k: kill), sock_filter(code: load, jt: 0, jf: 0, k: 0),
        ]
        for call in calls + oldCalls {
            program.append(sock_filter(code: compare, jt: 0, jf: 1, k: UInt32(bitPattern: call)))
            program.append(sock_filter(code: end, jt: 0, jf: 0, k: allow))
        }
        program.append(sock_filter(code: end, jt: 0, jf: 0, k: refuse))
        try check("seccomp") { gantry_seccomp_filter(0, program, UInt16(program.count)) }
    }
}
