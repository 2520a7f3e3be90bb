import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

extension PlanCompiler {
    func compileMount(
        _ mount: RuntimeSpec.Mount, _ spec: RuntimeSpec, _ container: ContainerPlan
    ) throws(RuntimeError) -> MountPlan {
        guard mount.destination.hasPrefix("/") else {
            throw .invalidSpec("mount target '\(mount.destination)' is not absolute")
        }
        let options = try MountOptions(mount.options ?? [])
        let type = mount.type ?? ""
        try Self.checkStrings([mount.destination, mount.source ?? "", type])
        var plan = try makePlan(mount, options, type: type, container)
        plan.attributesSet = options.attributesSet
        plan.treeAttributesSet = options.treeAttributesSet
        plan.behaviour = options.behaviour
        (plan.propagation, plan.propagationRecursive) = (options.propagation, options.propagationRecursive)
        switch plan.kind {
        case .bind, .remount:
            plan.attributesClear = options.attributesClear
            plan.treeAttributesClear = options.treeAttributesClear
            if plan.kind == .bind { try completeBind(&plan, options, mount, spec) }
        case .cgroups, .cgroupFolders: break
        case .fileSystem, .kernel, .devices:
            plan.parameters = options.parameters
            if host.hasSingleID { plan.parameters.removeAll { $0.key == "uid" || $0.key == "gid" } }
            // A device, or only the word that mount(8) and df(1) show.
            if let source = mount.source, !source.isEmpty { plan.parameters.append(MountParameter("source", source)) }
            try addLabel(to: &plan, spec)
        }
        if plan.kind == .remount { plan.parameters = options.parameters }
        let maps = plan.idMap != nil || !options.mapsIDs && mount.uidMappings == nil && mount.gidMappings == nil
        guard maps else { throw .unsupported("mapped ids on '\(mount.destination)', which is not a bind mount") }
        return plan
    }

    private func makePlan(
        _ mount: RuntimeSpec.Mount, _ options: MountOptions, type: String, _ container: ContainerPlan
    ) throws(RuntimeError) -> MountPlan {
        let target = mount.destination
        if options.isRemount { return MountPlan(kind: .remount, source: type, target: target) }
        if options.isBind || type == "bind" {
            guard let source = mount.source, source.hasPrefix("/") else {
                throw .invalidSpec("bind mount of '\(target)' without an absolute source")
            }
            return MountPlan(kind: .bind, source: source, target: target)
        }
        switch type {
        case "cgroup", "cgroup2": return cgroupMount(target, container)
        case "proc", "sysfs": return MountPlan(kind: .kernel, source: type, target: target)
        case "tmpfs" where target == "/dev": return MountPlan(kind: .devices, source: type, target: target)
        case "none", "":
            // Only the propagation of what is there may change.
            if options.propagation != 0 { return MountPlan(kind: .remount, source: "", target: target) }
            throw .invalidSpec("mount of '\(target)' without a type")
        default: return MountPlan(kind: .fileSystem, source: type, target: target)
        }
    }

    private func completeBind(
        _ plan: inout MountPlan, _ options: MountOptions, _ mount: RuntimeSpec.Mount, _ spec: RuntimeSpec
    ) throws(RuntimeError) {
        plan.recursive = options.recursive || plan.source == CgroupLayout.root
        if options.propagation == 0 { (plan.propagation, plan.propagationRecursive) = (UInt64(MS_PRIVATE), true) }
        let users = mount.uidMappings ?? []
        let groups = mount.gidMappings ?? []
        guard options.mapsIDs || !users.isEmpty || !groups.isEmpty else { return }
        guard users.isEmpty == groups.isEmpty else {
            throw .invalidSpec("'\(mount.destination)' maps only users or only groups")
        }
        plan.idMapRecursive = options.mapsIDsRecursively
        if !users.isEmpty {
            plan.idMap = try Self.compileMaps(users: users, groups: groups)
        } else if !spec.linux.uidMappings.isEmpty {
            plan.idMap = try Self.compileMaps(users: spec.linux.uidMappings, groups: spec.linux.gidMappings)
        } else {
            guard spec.linux.namespaces.contains(where: { $0.type == .user && $0.path?.isEmpty == false }) else {
                throw .invalidSpec("'\(mount.destination)' maps ids, and neither it nor the container says how")
            }
            plan.idMap = IDMapPlan(users: [], groups: [])
        }
    }

    /// With SELinux, file systems without labels of their own get the container's: `context=`, mount(8).
    private func addLabel(to plan: inout MountPlan, _ spec: RuntimeSpec) throws(RuntimeError) {
        guard let label = spec.linux.mountLabel, !label.isEmpty, plan.kind != .kernel, plan.source != "mqueue",
            host.securityModules.contains("selinux"), !plan.parameters.contains(where: { $0.key == "context" })
        else { return }
        try Self.checkStrings([label])
        plan.parameters.append(MountParameter("context", label))
    }

    /// Without a cgroup namespace a fresh mount would show the host's whole tree: the container's folders are bound.
    private func cgroupMount(_ target: String, _ container: ContainerPlan) -> MountPlan {
        let hierarchies = host.cgroups.containerMounts
        if container.namespaces.contains(where: { $0.flag == UInt64(CLONE_NEWCGROUP) }) {
            var plan = MountPlan(kind: .cgroups, source: "cgroup", target: target)
            plan.parameters = hierarchies
            return plan
        }
        var plan = MountPlan(kind: .cgroupFolders, source: "cgroup", target: target)
        for cgroup in container.cgroups {
            let mountPoint = String(cgroup.path.dropLast(container.cgroupName.count + 1))
            let name = FileSystem.lastComponent(of: mountPoint)
            if hierarchies.isEmpty {
                plan.parameters.append(MountParameter(cgroup.path))
            } else if hierarchies.contains(where: { $0.value == name }) {
                plan.parameters.append(MountParameter(cgroup.path, name))
            }
        }
        return plan
    }

    // MARK: - Maps

    static func compileMaps(users: [IDMapping], groups: [IDMapping]) throws(RuntimeError) -> IDMapPlan {
        for (mappings, what) in [(users, "user"), (groups, "group")] {
            // user_namespaces(7): at most 340 lines.
            let linesMax = 340
            guard !mappings.isEmpty, mappings.count <= linesMax else {
                throw .invalidSpec("a map of \(what) ids needs 1 to \(linesMax) lines, not \(mappings.count)")
            }
            for mapping in mappings {
                let last = UInt64(UInt32.max)
                guard mapping.size > 0, UInt64(mapping.containerID) + UInt64(mapping.size) <= last,
                    UInt64(mapping.hostID) + UInt64(mapping.size) <= last
                else { throw .invalidSpec("a line of the map of \(what) ids is out of range") }
            }
        }
        return IDMapPlan(users: users, groups: groups)
    }

    func compileUserNamespace(_ spec: RuntimeSpec) throws(RuntimeError) -> IDMapPlan? {
        let (users, groups) = (spec.linux.uidMappings, spec.linux.gidMappings)
        guard let namespace = spec.linux.namespaces.first(where: { $0.type == .user }) else {
            guard users.isEmpty, groups.isEmpty else { throw .invalidSpec("maps of ids need a user namespace") }
            return nil
        }
        if namespace.path?.isEmpty == false {
            guard users.isEmpty, groups.isEmpty else {
                throw .invalidSpec("the user namespace that is joined has its maps already")
            }
            return nil
        }
        return try Self.compileMaps(users: users, groups: groups)
    }

    /// The text of timens_offsets: `monotonic 5 0`, one clock a line.
    static func compileTimeOffsets(_ spec: RuntimeSpec) throws(RuntimeError) -> String {
        guard !spec.linux.timeOffsets.isEmpty else { return "" }
        guard spec.linux.namespaces.contains(where: { $0.type == .time && $0.path?.isEmpty != false }) else {
            throw .invalidSpec("time offsets need a time namespace of the container's own")
        }
        var text = ""
        for (clock, offset) in spec.linux.timeOffsets.sorted(by: { $0.key < $1.key }) {
            guard clock == "monotonic" || clock == "boottime" else { throw .invalidSpec("unknown clock '\(clock)'") }
            guard (offset.nanosecs ?? 0) < 1_000_000_000 else {
                throw .invalidSpec("the offset of clock \(clock) has over 999999999 nanoseconds")
            }
            text += "\(clock) \(offset.secs ?? 0) \(offset.nanosecs ?? 0)\n"
        }
        return text
    }
}
