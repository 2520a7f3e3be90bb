import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Runs the hooks of a container, one after the other; the first that fails stops the start.
enum Hooks {
    static func run(
        _ list: [HookPlan], _ kind: String, _ hooks: HooksPlan, status: String, pid: pid_t
    ) throws(SetupFailure) {
        guard !list.isEmpty else { return }
        let state = hooks.state(status: status, pid: pid)
        let previous = umask(0o022)
        defer { _ = umask(previous) }
        for hook in list {
            let outcome = try step("run the \(kind) hook \(hook.path)") { () throws(SystemError) in
                try HelperProgram.run(
                    path: hook.path, arguments: hook.arguments, environment: hook.environment, input: state,
                    timeoutMilliseconds: hook.timeoutMilliseconds)
            }
            guard let reason = outcome.failureReason else { continue }
            throw SetupFailure(step: "run the \(kind) hook \(hook.path)", code: 0, text: reason)
        }
    }

    /// On the host's side while the container's process waits with everything mounted.
    static func runOnHost(_ hooks: HooksPlan, pid: pid_t) throws(SetupFailure) {
        try run(hooks.prestart, "prestart", hooks, status: "created", pid: pid)
        try run(hooks.createRuntime, "createRuntime", hooks, status: "created", pid: pid)
    }

    /// After the container's end, when there is nothing left to stop: every hook gets its turn. What goes wrong is
    /// written down for the one who deletes the container.
    static func runAfterEnd(_ hooks: HooksPlan, pid: pid_t, directory: String) {
        var lines = ""
        for hook in hooks.poststop {
            do throws(SetupFailure) {
                try run([hook], "poststop", hooks, status: "stopped", pid: pid)
            } catch {
                lines += "cannot \(error.step): \(error.text.replacing("\n", with: " "))\n"
            }
        }
        guard !lines.isEmpty else { return }
        // With the folder gone there is nobody left to tell.
        try? FileSystem.replaceFile("\(directory)/\(ContainerFile.warnings)", with: Array(lines.utf8))
    }
}

extension HooksPlan {
    /// There is something for the supervisor to do while the child waits.
    var runAtMountsMade: Bool { !prestart.isEmpty || !createRuntime.isEmpty }
}
