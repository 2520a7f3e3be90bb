import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan

/// Becomes readable when the kernel may have killed a process of the container for lack of memory: read
/// `Runtime.outOfMemoryKills` then and compare. v2: inotify on `memory.events`; v1: an eventfd in
/// `cgroup.event_control`.
public struct OutOfMemoryNotifier: ~Copyable, Sendable {
    /// For poll(2) or epoll(7).
    public let descriptor: FileDescriptor

    /// Takes what has come, so that the descriptor is readable again only for something new.
    public borrowing func drain() throws(SystemError) {
        do {
            _ = try descriptor.read(upTo: 4096)
        } catch {
            guard error.code == EAGAIN else { throw error }
        }
    }
}

extension Runtime {
    /// `unsupported` where the host has no memory controller.
    public func oomNotifier(directory: String) throws(RuntimeError) -> OutOfMemoryNotifier {
        let name = try runningState(directory).cgroupName
        guard let place = host.cgroups.path(of: "memory", name: name) else {
            throw .unsupported("notice of memory running out: this host has no memory controller")
        }
        return try purpose("watch the container's memory") { () throws(SystemError) in
            let isOne = place.version == .one
            return OutOfMemoryNotifier(
                descriptor: isOne ? try Self.eventDescriptor(place.path) : try Self.watch("\(place.path)/memory.events")
            )
        }
    }

    /// Processes of the container that the kernel has killed for lack of memory so far.
    public func outOfMemoryKills(directory: String) throws(RuntimeError) -> UInt64 {
        let name = try runningState(directory).cgroupName
        guard let place = host.cgroups.path(of: "memory", name: name) else { return 0 }
        return try purpose("read the container's memory events") { () throws(SystemError) in
            place.version == .one
                ? try CgroupTree.sum(place.path, "memory.oom_control", key: "oom_kill") ?? 0
                : try CgroupTree.value(place.path, "memory.events", key: "oom_kill") ?? 0
        }
    }

    private static func watch(_ path: String) throws(SystemError) -> FileDescriptor {
        let inotify = FileDescriptor(
            owning: try check("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK)) })
        let raw = inotify.raw
        try check("inotify_add_watch", path: path) { inotify_add_watch(raw, path, UInt32(IN_MODIFY)) }
        return inotify
    }

    /// Documentation/admin-guide/cgroup-v1/memory.rst, section 10.
    private static func eventDescriptor(_ path: String) throws(SystemError) -> FileDescriptor {
        let event = FileDescriptor(
            owning: try check("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
        let control = try FileDescriptor.open("\(path)/memory.oom_control", O_RDONLY)
        try CgroupTree.write(path, "cgroup.event_control", "\(event.raw) \(control.raw)")
        return event
    }
}
