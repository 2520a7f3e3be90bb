import CLinux
import Glibc
import LinuxSystem

/// Layers as one tree: an overlay without a container.
public struct LayerMount: Sendable {
    /// Takes what is written.
    public struct Upper: Sendable {
        public var folder: String
        /// Empty, on the same file system.
        public var work: String

        public init(folder: String, work: String) {
            self.folder = folder
            self.work = work
        }
    }

    /// Topmost first, two at least where there is no `upper`.
    public var lower: [String]
    /// nil: the tree is read-only.
    public var upper: Upper?
    /// The layers' marks are `user.overlay.*`.
    public var userExtended: Bool

    public init(lower: [String], upper: Upper?, userExtended: Bool) {
        self.lower = lower
        self.upper = upper
        self.userExtended = userExtended
    }

    /// The tree's root, `O_PATH`, mounted for nobody but its holders: the mount goes with the descriptor.
    ///
    /// - Parameter place: an empty folder to mount on meanwhile; nobody else sees it.
    public func open(place: String) throws(SystemError) -> SharedDescriptor {
        try NamedThread.run("gantry-layers") { () throws(SystemError) in
            try check("unshare") { unshare(CLONE_FS | CLONE_NEWNS) }
            try check("mount", path: "/") { Glibc.mount(nil, "/", nil, UInt(MS_REC | MS_PRIVATE), nil) }
            try mountHere(at: place)
            // A copy in no namespace: this thread's ends with it.
            let tree = try check("open_tree", path: place) { gantry_open_tree_clone(AT_FDCWD, place, 0) }
            return SharedDescriptor(FileDescriptor(owning: tree))
        }.get()
    }

    /// Mounts the tree where all of the engine's processes see it.
    public func mount(at place: String) throws(SystemError) {
        try NamedThread.run("gantry-layers") { () throws(SystemError) in
            try check("unshare") { unshare(CLONE_FS) }
            try mountHere(at: place)
        }.get()
    }

    private func mountHere(at place: String) throws(SystemError) {
        var layers: [SharedDescriptor] = []
        for path in lower + (upper.map { [$0.folder, $0.work] } ?? []) {
            layers.append(SharedDescriptor(try FileDescriptor.open(path, O_PATH | O_DIRECTORY)))
        }
        // By descriptor: paths may hold colons and commas, and the option string is limited to a page.
        try check("chdir", path: "/proc/self/fd") { chdir("/proc/self/fd") }
        let names = layers.map { "\($0.raw)" }
        var options = "lowerdir=\(names.prefix(lower.count).joined(separator: ":"))"
        if upper != nil {
            // What is written is flushed once it has a name.
            options += ",upperdir=\(names[lower.count]),workdir=\(names[lower.count + 1]),volatile"
        }
        if userExtended { options += ",userxattr" }
        try check("mount overlay", path: place) { Glibc.mount("overlay", place, "overlay", 0, options) }
        try check("chdir", path: "/") { chdir("/") }
        withExtendedLifetime(layers) {}
    }
}
