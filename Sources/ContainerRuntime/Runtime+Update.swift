import Glibc
import LinuxSystem
import SupervisorPlan

extension Runtime {
    private static let movePassesMax = 64

    /// Changes the limits of a running container; what `resources` leaves out stays as it is. Answers what this host
    /// cannot do though it was asked for.
    @discardableResult
    public func update(directory: String, _ resources: RuntimeSpec.Resources) throws(RuntimeError) -> [String] {
        let name = try runningState(directory).cgroupName
        // Everything is checked before anything is changed.
        _ = try host.cgroups.plans(name: name, resources: resources, isUpdate: true)
        var warnings = host.cgroups.warnings(resources)
        for (hierarchy, path) in host.cgroups.directories(name: name) {
            let limits = CgroupLimits(resources: resources) { file in
                // Unreadable: the kernel has no such control here.
                try? CgroupTree.read(path, file)
            }
            let writes = try limits.writes(hierarchy)
            let devices = resources.devices.map { RuntimeSpec.DeviceRule.completed($0) }
            let changesList = devices != nil && hierarchy.controllers.contains("devices")
            if !writes.isEmpty || changesList, !FileSystem.exists(path) {
                try addDirectory(path, hierarchy, name: name)
            }
            warnings += try Self.apply(writes, at: path)
            guard let devices else { continue }
            if hierarchy.controllers.contains("devices") {
                try updateDeviceList(devices, at: path, directory: directory)
            } else if hierarchy.version == .two, host.cgroups.hierarchy(of: "devices") == nil {
                try Self.replaceFilter(devices, at: path)
            }
        }
        return warnings
    }

    private static func apply(_ writes: [CgroupWrite], at path: String) throws(RuntimeError) -> [String] {
        let (failure, skipped) = CgroupWrite.perform(writes) { write in
            do throws(SystemError) {
                try CgroupTree.write(path, write.file, write.value)
                return 0
            } catch {
                return error.code
            }
        }
        if let failure {
            throw .setupFailed(step: failure.explanation, SystemError(path, code: failure.code))
        }
        return skipped.map { "cannot \($0.explanation)" }
    }

    // MARK: - A controller that the start did not need

    /// Makes the container's directory in one more hierarchy and moves all its processes into it.
    private func addDirectory(
        _ path: String, _ hierarchy: CgroupLayout.Hierarchy, name: String
    ) throws(RuntimeError) {
        guard
            let source = host.cgroups.directories(name: name).first(where: {
                $0.path != path && FileSystem.exists($0.path)
            })
        else { throw .unsupported("a limit for a container without cgroups") }
        try purpose("make the cgroup \(path)") { () throws(SystemError) in
            try host.cgroups.prepareParent(FileSystem.parent(of: name))
            try check("mkdir", path: path) { mkdir(path, 0o755) }
            if hierarchy.controllers.contains("cpuset") { try CgroupTree.copyParentCPUSet(path) }
            // Those that fork meanwhile are found by the next pass; those that have moved fork inside.
            for _ in 0..<Self.movePassesMax {
                let moved = Set(try CgroupTree.processes(path))
                let waiting = try CgroupTree.processes(source.path).filter { !moved.contains($0) }
                if waiting.isEmpty { return }
                for process in waiting { try Self.move(process, into: path) }
            }
            throw SystemError("move the processes", path: path, code: EAGAIN)
        }
    }

    private static func move(_ process: pid_t, into path: String) throws(SystemError) {
        do {
            try CgroupTree.write(path, "cgroup.procs", "\(process)")
        } catch {
            // It has ended.
            guard error.code == ESRCH || error.code == EINVAL else { throw error }
        }
    }

    // MARK: - Devices

    private static func replaceFilter(_ rules: [RuntimeSpec.DeviceRule], at path: String) throws(RuntimeError) {
        let program = try DeviceFilter.program(rules)
        try purpose("replace the device filter") { () throws(SystemError) in
            let cgroup = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
            try CgroupDeviceFilter.set(program, cgroup: cgroup.raw)
        }
    }

    /// Where the default itself changes, v1 goes by a moment in which nothing is allowed: the container stands still.
    private func updateDeviceList(
        _ rules: [RuntimeSpec.DeviceRule], at path: String, directory: String
    ) throws(RuntimeError) {
        let list = try DeviceList(rules)
        let present = try purpose("read the device list") { () throws(SystemError) in
            DeviceList(listed: try CgroupTree.read(path, "devices.list"))
        }
        if let writes = list?.transition(from: present) {
            _ = try Self.apply(writes, at: path)
            return
        }
        let writes = list?.writes ?? [CgroupWrite("devices.allow", "a")]
        let wasPaused = try isPaused(directory: directory)
        if !wasPaused { try pause(directory: directory) }
        let result = Result { () throws(RuntimeError) in _ = try Self.apply(writes, at: path) }
        if !wasPaused { try resume(directory: directory) }
        try result.get()
    }
}
