import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Process 1 of a container that asked for an init: forwards signals to the user's process, reaps everything, ends as
/// the user's process ends.
enum InitProcess {
    /// Returns in the user's process; process 1 stays here. The seccomp filter is on: nothing but plain calls.
    static func forkUserProcess(terminal: Int32, report: Int32) throws(SetupFailure) {
        let child = try step("fork") { () throws(SystemError) in try check("fork") { fork() } }
        if child == 0 {
            setsid()
            if terminal >= 0 { try ContainerChild.takeOver(terminal) }
            return
        }
        // No descriptor stays: the pipes must end with the user's processes, the report with its execve.
        close_range(0, .max, 0)
        "gantry-init".withCString { _ = gantry_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
        _exit(serve(child))
    }

    private static func serve(_ child: pid_t) -> Int32 {
        var all = sigset_t()
        sigfillset(&all)
        while true {
            let signal = sigwaitinfo(&all, nil)
            guard signal > 0 else { continue }
            guard signal == SIGCHLD else {
                kill(child, signal)
                continue
            }
            var status: Int32 = 0
            while true {
                let reaped = waitpid(-1, &status, WNOHANG)
                guard reaped > 0 else { break }
                guard reaped == child else { continue }
                return gantry_wifexited(status) != 0 ? gantry_wexitstatus(status) : 128 + gantry_wtermsig(status)
            }
        }
    }
}
