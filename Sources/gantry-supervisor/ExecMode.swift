import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// `exec`: one more process in a running container, its streams on the framed socket.
enum ExecMode {
    static func run() throws(SetupFailure) {
        var plan = try Supervisor.readPlan(ExecPlan.self)
        let container = try step("find the container's init") { () throws(SystemError) in
            try openContainer(plan)
        }
        let cgroups = try Cgroups(existing: plan.cgroups)
        var channels = try step("make the standard streams") { () throws(SystemError) in try Channels(plan.process) }
        let (pid, pidfd) = try clone(plan, container.raw, cgroups, &channels)
        Report.send(.started(pid: pid, at: Clock.now()), to: SupervisorDescriptor.report)
        close(SupervisorDescriptor.report)
        cgroups.closeDescriptors()
        plan = ExecPlan(initPID: 0, initStartTime: 0, namespaces: 0, process: ProcessPlan(arguments: []))
        let streams = Streams(channels.stdio, listener: -1, log: nil, isExec: true)
        streams.add(client: SupervisorDescriptor.client)
        let status = try step("wait") { () throws(SystemError) in try streams.run(pidfd: pidfd) }
        streams.end(code: status.code)
    }

    /// `join`: as `exec`, with our own standard streams; the process's parent is then whoever reaps for our caller.
    static func join() throws(SetupFailure) {
        let plan = try Supervisor.readPlan(ExecPlan.self)
        Descriptors.closeUnpreserved(plan.preservedDescriptors)
        let container = try step("find the container's init") { () throws(SystemError) in
            try openContainer(plan)
        }
        let cgroups = try Cgroups(existing: plan.cgroups)
        var channels = try step("make the standard streams") { () throws(SystemError) in
            try Channels(
                inheriting: plan.process, preserved: plan.preservedDescriptors, gate: nil, handshake: false)
        }
        let (pid, _) = try clone(plan, container.raw, cgroups, &channels)
        Report.send(.started(pid: pid, at: Clock.now()), to: SupervisorDescriptor.report)
    }

    private static func clone(
        _ plan: ExecPlan, _ container: Int32, _ cgroups: Cgroups, _ channels: inout Channels
    ) throws(SetupFailure) -> (pid: pid_t, pidfd: Int32) {
        var pidfd: Int32 = -1
        let pid = try step("clone") { () throws(SystemError) in
            let process = Int32(CLONE_NEWPID)
            if plan.namespaces & UInt64(process) != 0 {
                try check("setns") { setns(container, process) }
            }
            return try check("clone3") { gantry_clone3(0, &pidfd, cgroups.unified) }
        }
        if pid == 0 { runChild(plan, container, cgroups, channels.child) }
        channels.closeChildEnds()
        do {
            try channels.awaitExecution(forwardingTo: SupervisorDescriptor.report)
        } catch {
            kill(pid, SIGKILL)
            var info = siginfo_t()
            gantry_waitid_pidfd(pidfd, &info, WEXITED)
            throw error
        }
        return (pid, pidfd)
    }

    /// The pidfd pins the process; its start time tells that the number has not been given to another one.
    private static func openContainer(_ plan: ExecPlan) throws(SystemError) -> FileDescriptor {
        let container = FileDescriptor(owning: try check("pidfd_open") { gantry_pidfd_open(plan.initPID, 0) })
        let stat = try ProcessStat.read("\(plan.initPID)")
        guard stat.startTime == plan.initStartTime, !stat.hasEnded else { throw SystemError("pidfd_open", code: ESRCH) }
        return container
    }

    private static func runChild(
        _ plan: ExecPlan, _ container: Int32, _ cgroups: Cgroups, _ descriptors: ChildDescriptors
    ) -> Never {
        do {
            try ContainerChild.enter(cgroups)
            try step("set up the standard streams") { () throws(SystemError) in try descriptors.install() }
            Descriptors.closeAll(
                except: [0, 1, 2, descriptors.report, descriptors.terminalSocket, container] + descriptors.kept)
            try ProcessSetup.adjustOutOfMemoryScore(plan.process, report: descriptors.report)
            try ProcessSetup.setLimits(plan.process)
            let others = Int32(truncatingIfNeeded: plan.namespaces & ~UInt64(CLONE_NEWPID))
            try step("enter the namespaces") { () throws(SystemError) in
                // Where nothing but the pid namespace is its own, there is nothing left to enter.
                if others != 0 { try check("setns") { setns(container, others) } }
            }
            close(container)
            let process = try ProcessSetup(plan.process, report: descriptors.report)
            try ContainerChild.finish(process, useInit: false, consoleFor: nil, descriptors)
        } catch {
            Report.send(.failed(error), to: descriptors.report)
        }
        _exit(1)
    }
}
