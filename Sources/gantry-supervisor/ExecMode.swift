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
        var cgroups = try Cgroups(existing: plan.cgroups)
        var channels = try step("make the standard streams") { () throws(SystemError) in try Channels(plan.process) }
        let (pid, pidfd) = try clone(plan, container.raw, &cgroups, &channels)
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
        var cgroups = try Cgroups(existing: plan.cgroups)
        var channels = try step("make the standard streams") { () throws(SystemError) in
            try Channels(
                inheriting: plan.process, preserved: plan.preservedDescriptors, gate: nil, handshake: false)
        }
        let (pid, _) = try clone(plan, container.raw, &cgroups, &channels)
        Report.send(.started(pid: pid, at: Clock.now()), to: SupervisorDescriptor.report)
    }

    private static func clone(
        _ plan: ExecPlan, _ container: Int32, _ cgroups: inout Cgroups, _ channels: inout Channels
    ) throws(SetupFailure) -> (pid: pid_t, pidfd: Int32) {
        if plan.namespaces & UInt64(CLONE_NEWUSER) != 0 { channels.stdio.give(toRootOf: plan.initPID) }
        let joinsLate = Self.joinsLate(plan)
        var pidfd: Int32 = -1
        var pid = try step("clone") { () throws(SystemError) in
            let process = Int32(CLONE_NEWPID)
            if plan.namespaces & UInt64(process) != 0, !joinsLate {
                try check("setns") { setns(container, process) }
            }
            do throws(SystemError) {
                return try check("clone3") { gantry_clone3(0, &pidfd, cgroups.unified) }
            } catch {
                guard error.code == EBUSY else { throw error }
                try cgroups.moveDown(to: plan.initPID)
                return try check("clone3") { gantry_clone3(0, &pidfd, cgroups.unified) }
            }
        }
        if pid == 0 { runChild(plan, container, cgroups, channels.child) }
        channels.closeChildEnds()
        do {
            try channels.listener?.deliver(pid: pid, pidfd: pidfd)
            let last = try channels.awaitExecution(forwardingTo: SupervisorDescriptor.report)
            if joinsLate { try follow(&pid, &pidfd, to: last) }
        } catch {
            kill(pid, SIGKILL)
            var info = siginfo_t()
            gantry_waitid_pidfd(pidfd, &info, WEXITED)
            throw error
        }
        return (pid, pidfd)
    }

    /// A process is visible to the container's others as soon as it is in their pid namespace, and one of them with
    /// CAP_SYS_PTRACE may then do to it what it likes (CVE-2016-9962). So it is born there when it has nothing left
    /// that the container's processes have not: after the change of root, user and capabilities, under the filter.
    /// Only a filter's listener needs the process itself to load the filter.
    private static func joinsLate(_ plan: ExecPlan) -> Bool {
        plan.namespaces & UInt64(CLONE_NEWPID) != 0 && plan.process.listener == nil
    }

    /// From the process that set everything up to the one it left behind as our child.
    private static func follow(_ pid: inout pid_t, _ pidfd: inout Int32, to last: pid_t?) throws(SetupFailure) {
        try step("find the process") { () throws(SystemError) in
            guard let last else { throw SystemError("clone", code: ESRCH) }
            let own = try check("pidfd_open") { gantry_pidfd_open(last, 0) }
            var info = siginfo_t()
            gantry_waitid_pidfd(pidfd, &info, WEXITED)
            close(pidfd)
            (pid, pidfd) = (last, own)
        }
    }

    /// Returns in the process that executes the program, a sibling of its maker.
    static func forkIntoProcessNamespace(terminal: Int32, report: Int32) throws(SetupFailure) {
        let child = try step("fork") { () throws(SystemError) in
            try check("clone") { gantry_clone_sibling() }
        }
        guard child == 0 else {
            Report.send(.started(pid: child, at: 0), to: report)
            _exit(0)
        }
        setsid()
        if terminal >= 0 { try ContainerChild.takeOver(terminal) }
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
            try ProcessAttributes.setAffinity(plan.process.attributes.initialAffinity)
            try ContainerChild.enter(cgroups)
            try step("set up the standard streams") { () throws(SystemError) in try descriptors.install() }
            Descriptors.closeAll(
                except: [0, 1, 2, descriptors.report, descriptors.terminalSocket, container] + descriptors.kept)
            try ProcessAttributes.apply(plan.process, to: 0, report: descriptors.report)
            try ProcessAttributes.setAffinity(plan.process.attributes.finalAffinity)
            try ProcessAttributes.applyToSelf(plan.process, report: descriptors.report)
            let joinsLate = joinsLate(plan)
            let entered = joinsLate ? plan.namespaces : plan.namespaces & ~UInt64(CLONE_NEWPID)
            let others = Int32(truncatingIfNeeded: entered)
            try step("enter the namespaces") { () throws(SystemError) in
                // Where nothing but the pid namespace is its own, there is nothing left to enter.
                if others != 0 { try check("setns") { setns(container, others) } }
                if others & Int32(CLONE_NEWUSER) != 0 { try UserNamespace.becomeRoot() }
            }
            close(container)
            let process = try ProcessSetup(
                plan.process, report: descriptors.report, listener: descriptors.listener)
            try ContainerChild.finish(
                process, useInit: false, consoleFor: nil, descriptors, joinsLate: joinsLate)
        } catch {
            Report.send(.failed(error), to: descriptors.report)
        }
        _exit(1)
    }
}
