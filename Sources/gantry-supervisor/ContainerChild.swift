import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// The cloned process, from its first instruction to the user's program.
enum ContainerChild {
    static func run(
        _ plan: ContainerPlan, _ namespaces: Namespaces, _ sources: MountSources, _ cgroups: Cgroups,
        _ descriptors: ChildDescriptors
    ) -> Never {
        do {
            try prepare(plan, namespaces, sources, cgroups, descriptors)
            let process = try ProcessSetup(
                plan.process, report: descriptors.report, listener: descriptors.listener)
            try finish(process, useInit: plan.useInit, consoleFor: plan, descriptors, hooks: plan.hooks)
        } catch {
            Report.send(.failed(error), to: descriptors.report)
        }
        _exit(1)
    }

    private static func prepare(
        _ plan: ContainerPlan, _ namespaces: Namespaces, _ sources: MountSources, _ cgroups: Cgroups,
        _ descriptors: ChildDescriptors
    ) throws(SetupFailure) {
        try enter(cgroups)
        try step("set up the standard streams") { () throws(SystemError) in try descriptors.install() }
        Descriptors.closeAll(
            except: [0, 1, 2, descriptors.report, descriptors.release, descriptors.terminalSocket]
                + namespaces.descriptors + sources.descriptors + descriptors.kept)
        if namespaces.changesUser {
            Handshake.awaitRelease(descriptors)
        } else {
            try ProcessAttributes.apply(plan.process, to: 0, report: descriptors.report)
        }
        try step("enter the namespaces") { () throws(SystemError) in try namespaces.enterOthers() }
        namespaces.closeDescriptors()
        try ProcessAttributes.applyToSelf(plan.process, report: descriptors.report)
        try setNames(plan)
        try RootSetup.perform(plan, sources) { () throws(SetupFailure) in
            if plan.hooks.runAtMountsMade { Handshake.wait(at: .mountsMade, descriptors) }
            try Hooks.run(
                plan.hooks.createContainer, "createContainer", plan.hooks, status: "created", pid: getpid())
        }
    }

    /// The child moves itself: into v1 hierarchies by `tasks`; clone3 put it into the v2 one already.
    static func enter(_ cgroups: Cgroups) throws(SetupFailure) {
        setsid()
        for tasks in cgroups.tasks {
            try step("join the cgroup") { () throws(SystemError) in try check("write tasks") { write(tasks, "0", 1) } }
        }
    }

    private static func setNames(_ plan: ContainerPlan) throws(SetupFailure) {
        if let name = plan.hostname {
            try step("set the host name") { () throws(SystemError) in
                try check("sethostname") { sethostname(name, name.utf8.count) }
            }
        }
        if let name = plan.domainname {
            try step("set the domain name") { () throws(SystemError) in
                try check("setdomainname") { setdomainname(name, name.utf8.count) }
            }
        }
    }

    /// Terminal, directory, privileges, program; returns only by throwing.
    static func finish(
        _ process: borrowing ProcessSetup, useInit: Bool, consoleFor plan: ContainerPlan?,
        _ descriptors: ChildDescriptors, joinsLate: Bool = false, hooks: HooksPlan = HooksPlan()
    ) throws(SetupFailure) {
        var terminal: Int32 = -1
        if process.plan.terminal {
            let (uid, rows, columns) = (process.user.uid, process.plan.rows, process.plan.columns)
            terminal = try step("make the terminal") { () throws(SystemError) in
                let made = try Terminal.make(
                    root: process.root, socket: descriptors.terminalSocket, uid: uid, rows: rows, columns: columns)
                if plan != nil { try Terminal.bindConsole(made, root: process.root) }
                return made.take()
            }
            close(descriptors.terminalSocket)
        } else {
            try process.giveStreams()
        }
        try process.enterDirectory()
        if terminal >= 0, !useInit, !joinsLate { try takeOver(terminal) }
        if descriptors.isInherited { try process.findProgram() }
        try descriptors.placePreserved()
        try process.dropPrivileges()
        if joinsLate {
            try ExecMode.forkIntoProcessNamespace(terminal: terminal, report: descriptors.report)
        }
        if useInit { try InitProcess.forkUserProcess(terminal: terminal, report: descriptors.report) }
        try descriptors.gate?.wait(report: descriptors.report)
        try Hooks.run(hooks.startContainer, "startContainer", hooks, status: "created", pid: getpid())
        throw process.execute()
    }

    static func takeOver(_ terminal: Int32) throws(SetupFailure) {
        try step("take the terminal") { () throws(SystemError) in try Terminal.takeOver(terminal) }
    }
}

extension ChildDescriptors {
    /// Puts the pipes in place of descriptors 0, 1 and 2; what is missing becomes the host's /dev/null for now.
    func install() throws(SystemError) {
        let null = try FileDescriptor.open("/dev/null", O_RDWR)
        for (stream, descriptor) in [(Int32(0), stdin), (1, stdout), (2, stderr)] {
            let source = descriptor >= 0 ? descriptor : null.raw
            try check("dup2") { dup2(source, stream) }
        }
    }
}
