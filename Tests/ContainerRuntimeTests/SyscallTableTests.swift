import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// What the kernel's wider surface answers inside the default container, call by call: Programs/calls.c.
    @Suite struct SyscallTableTests {
        /// EPERM, nearly all from the filter; `open:` is the device filter.
        private static let refused = """
            mknod:block _sysctl acct add_key bpf clock_settime clone:NEWCGROUP clone:NEWIPC clone:NEWNET clone:NEWNS
            clone:NEWPID clone:NEWUSER clone:NEWUTS delete_module fanotify_init finit_module fsconfig
            fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl
            kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr
            move_mount move_pages nfsservctl open:disk open:kmem open_by_handle_at open_tree perf_event_open
            personality:ADDR_NO_RANDOMIZE personality:PER_BSD personality:READ_IMPLIES_EXEC pidfd_getfd
            pivot_root process_madvise quotactl quotactl_fd reboot request_key set_mempolicy setdomainname
            sethostname setns settimeofday socket:alg socket:atmsvc socket:caif socket:decnet socket:econet
            socket:irda socket:isdn socket:vsock socket:wanpipe swapoff swapon sysfs syslog umount2
            unshare:FILES unshare:NEWCGROUP unshare:NEWIPC unshare:NEWNET unshare:NEWNS unshare:NEWPID
            unshare:NEWTIME unshare:NEWUSER unshare:NEWUTS uselib userfaultfd ustat vhangup
            """
        /// Let through, and what the kernel says to their arguments. The filter hides `clone3` (its flags cannot be
        /// looked at) and calls newer than the profile behind ENOSYS, 38.
        private static let others = [
            "adjtimex": ["ok"], "clone:plain": ["ok"], "clone3": ["38"], "future": ["38"], "ioctl:TIOCSTI": ["25"],
            "memfd_secret": ["22", "38"], "personality:query": ["ok"],
            "process_vm_readv:none": ["3"], "ptrace:none": ["3"], "socket:inet": ["ok"], "socket:netlink": ["ok"],
        ]

        private func check(_ answers: [String: String]) {
            var left = answers
            for name in Self.refused.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init) {
                // Only x86 has them.
                guard let answer = left.removeValue(forKey: name) else { continue }
                #expect(answer == "1", "\(name)")
            }
            for (name, allowed) in Self.others {
                #expect(allowed.contains(left.removeValue(forKey: name) ?? "missing"), "\(name)")
            }
            #expect(left.isEmpty, "calls without an expectation")
            #expect(answers.count > 80)
        }

        @Test func callsOfTheDefaultContainer() throws {
            var answers = try Programs.run("calls")
            // There is no node to open; the last test makes one.
            #expect(answers.updateValue("1", forKey: "open:disk") == "2")
            #expect(answers.updateValue("1", forKey: "open:kmem") == "2")
            check(answers)
        }

        @Test func callsOfAnotherUser() throws {
            var answers = try Programs.run("calls") { $0.user = "user" }
            // /tmp is root's; the rest is the same.
            #expect(answers.updateValue("1", forKey: "mknod:block") == "13")
            answers["open:disk"] = "1"
            answers["open:kmem"] = "1"
            check(answers)
        }

        /// Without the filter the same calls are answered by the kernel: the table above is the filter's work.
        @Test func callsWithoutTheFilter() throws {
            let answers = try Programs.run("calls") {
                $0.seccomp = .unconfined
                $0.spec.process.capabilities = .withDeviceNodes
            }
            for name in ["clone:NEWUSER", "unshare:NEWUSER", "personality:PER_BSD", "unshare:FILES", "mbind"] {
                #expect(answers[name] == "ok", "\(name)")
            }
            for name in ["setns", "settimeofday", "kcmp", "pidfd_getfd", "fsconfig"] {
                #expect(answers[name] != "1", "\(name)")
            }
            // The second layer: no capability, no device.
            for name in ["mount", "pivot_root", "sethostname", "open:disk", "open:kmem", "reboot", "bpf"] {
                #expect(answers[name] == "1", "\(name)")
            }
        }
    }
}
