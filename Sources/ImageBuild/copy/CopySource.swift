import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem
import StackModel

/// A folder COPY, ADD or a bind mount reads from: the build context, a named context, a stage's or an image's tree.
/// Whoever filled it may be hostile, and may be changing it: everything is opened below `root`, and no link is followed
/// by the kernel.
public struct CopySource: Sendable {
    /// `O_PATH|O_DIRECTORY` will do.
    public let root: SharedDescriptor
    /// What of it is not there; nil for stages and images.
    public let ignore: IgnorePatterns?
    /// For messages: `the build context`, `stage "build"`.
    public let name: String
    /// Files keep their owners, as those of stages and images do; those of a context belong to 0:0. Nothing changes
    /// such a tree while it is read.
    public let keepsOwners: Bool

    public init(root: SharedDescriptor, ignore: IgnorePatterns?, name: String, keepsOwners: Bool) {
        self.root = root
        self.ignore = ignore
        self.name = name
        self.keepsOwners = keepsOwners
    }

    /// Looks paths up as if what is ignored were not there.
    var lookup: PathLookup {
        guard ignore != nil else { return PathLookup(root: root) }
        return PathLookup(root: root) { path, isFolder in isVisible(path, isFolder: isFolder) }
    }

    /// A folder that is ignored is visible as long as there may be exceptions in it.
    func isVisible(_ path: PathParts, isFolder: Bool) -> Bool {
        guard let ignore else { return true }
        let walk = ignoreWalk(path)
        return !walk.isIgnored || isFolder && !ignore.canSkip(path.text, walk)
    }

    func ignoreWalk(_ path: PathParts) -> IgnorePatterns.Walk {
        var walk = IgnorePatterns.Walk()
        guard let ignore else { return walk }
        for count in path.indices { walk = ignore.follow(PathParts(path[...count]).text, walk) }
        return walk
    }

    /// What a selection found at `path`, a path without links: one that has become a link is an error.
    func open(_ path: PathParts, _ flags: Int32) throws(BuildError) -> SharedDescriptor {
        let resolve = UInt64(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)
        let text = path.isEmpty ? CPath(".".utf8) : CPath(path.joined)
        let attemptsMax = 64
        for attempt in 1... {
            let raw = text.withPointer { gantry_openat2(root.raw, $0, UInt64(flags | O_CLOEXEC), 0, resolve) }
            let code = errno
            if raw >= 0 { return SharedDescriptor(FileDescriptor(owning: raw)) }
            // EAGAIN: a rename raced with the look-up.
            if code == EINTR || code == EAGAIN, attempt < attemptsMax { continue }
            if [ENOENT, ENOTDIR, ELOOP, EXDEV].contains(code) { throw changed(path.joined) }
            throw BuildError(SystemError("openat2", path: quoted(path.joined), code: code))
        }
        preconditionFailure("open: endless loop left")
    }

    func changed(_ path: some Collection<UInt8>) -> BuildError {
        .changed("\(quoted(path)) in \(name) was changed while the build read it; build again")
    }

    /// Why there is nothing at `path` as the Dockerfile has it; like BuildKit's `"/x": not found`.
    func notFound(_ path: PathParts, _ place: PathLookup.Place) -> BuildError {
        let shown = "\"/\(path.text)\": not found in \(name)"
        if place.isHidden { return .notFound("\(shown): it is excluded by .dockerignore") }
        guard let wanted = place.missing.first, let folder = place.objects.last else { return .notFound(shown) }
        guard let near = near(wanted, in: folder, place.parts) else { return .notFound(shown) }
        return .notFound("\(shown); did you mean \"/\(near)\"?")
    }

    private func near(_ wanted: [UInt8], in folder: SharedDescriptor, _ parts: PathParts) -> String? {
        let names: [[UInt8]]
        do {
            names = try folderNames(folder.raw, path: parts.joined)
        } catch {
            // It is no folder, or cannot be read: the message does without a suggestion.
            return nil
        }
        let candidateCountMax = 10_000
        let visible = names.prefix(candidateCountMax).filter { isVisible(parts + [$0], isFolder: false) }
        let text = String(decoding: wanted, as: UTF8.self)
        guard let name = nearest(text, in: visible.map { String(decoding: $0, as: UTF8.self) }) else { return nil }
        return (parts + [Array(name.utf8)]).text
    }
}
