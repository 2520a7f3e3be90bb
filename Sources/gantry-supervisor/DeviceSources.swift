import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Device nodes for a container with a user namespace of its own, whose root may make none: made by the host's root in
/// a tmpfs that nobody else sees, with the ids that the container sees as those asked for.
enum DeviceSources {
    /// A detached mount of each node. -1 where there cannot be one: a host root that is none itself, ids without a
    /// counterpart, or a kernel before 6.15, which clones no mount out of a detached one. The child binds the node of
    /// the same path of the host then.
    static func make(_ plan: ContainerPlan) -> [Int32] {
        do throws(SystemError) {
            let folder = try MountSetup.make("tmpfs", [], attributes: 0)
            return plan.devices.enumerated().map { index, device in
                do throws(SystemError) {
                    return try node(device, name: "\(index)", in: folder, plan.idMap)
                } catch {
                    return -1
                }
            }
        } catch {
            return plan.devices.map { _ in -1 }
        }
    }

    private static func node(
        _ device: DevicePlan, name: String, in folder: borrowing FileDescriptor, _ map: IDMapPlan?
    ) throws(SystemError) -> Int32 {
        // The container may make a FIFO by itself.
        guard device.kind != .fifo, let map, let uid = hostID(of: device.uid, map.users),
            let gid = hostID(of: device.gid, map.groups)
        else { return -1 }
        let raw = folder.raw
        let type: mode_t = device.kind == .block ? S_IFBLK : S_IFCHR
        let previous = umask(0)
        defer { _ = umask(previous) }
        try check("mknodat", path: device.path) {
            mknodat(raw, name, type | mode_t(device.mode & 0o777), gantry_makedev(device.major, device.minor))
        }
        try check("fchownat", path: device.path) { fchownat(raw, name, uid, gid, AT_SYMLINK_NOFOLLOW) }
        return try check("open_tree", path: device.path) { gantry_open_tree_clone(raw, name, 0) }
    }

    private static func hostID(of id: UInt32, _ map: [IDMapping]) -> UInt32? {
        for line in map where id >= line.containerID && id - line.containerID < line.size {
            let (host, overflow) = line.hostID.addingReportingOverflow(id - line.containerID)
            return overflow ? nil : host
        }
        return nil
    }
}
