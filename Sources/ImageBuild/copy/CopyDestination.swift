import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem

/// Where a COPY puts things: a path in an image's tree, whose links are followed within it. Folders that are missing
/// are made; those that were there have their old times again in the end, so that equal builds give equal layers.
final class CopyDestination {
    private let root: SharedDescriptor
    private let path: PathParts
    private let assertsFolder: Bool
    private let shown: String
    private let owner: (uid: UInt32, gid: UInt32)
    private let permissions: mode_t
    /// What times folders are to have, by what they are.
    private var times: [FolderIdentity: (folder: SharedDescriptor, times: [timespec])] = [:]

    private struct FolderIdentity: Hashable {
        var device: dev_t
        var number: ino_t

        init(_ status: stat) { (device, number) = (status.st_dev, status.st_ino) }
    }

    init(_ job: CopyJob, in root: SharedDescriptor) throws(BuildError) {
        self.root = root
        path = try PathParts(cleaning: Array(job.destination.utf8))
        assertsFolder = job.assertsFolder || path.isEmpty
        shown = quoted(Array(job.destination.utf8))
        owner = job.owner ?? (0, 0)
        let defaultMode: UInt32 = 0o755
        let mode = job.mode.flatMap { $0.isAbsolute ? $0.applied(to: defaultMode, isFolder: true) : nil }
        permissions = mode_t((mode ?? defaultMode) & 0o777)
    }

    /// The folder itself, made where it is missing, and its path in the root without links.
    func folder() throws(BuildError) -> (folder: SharedDescriptor, path: PathParts, isMade: Bool) {
        let place = try PathLookup(root: root).place(path)
        guard !place.exists || place.isFolder else {
            throw .conflict("cannot copy a folder to \(shown): there is no folder of that name but a file")
        }
        return (try makeFolders(place), place.all, !place.exists)
    }

    /// Where a file goes: the folder it is to be made in and its name there.
    ///
    /// - Parameter mustBeFolder: there is more than one source, which BuildKit lets overwrite each other.
    func file(
        named name: [UInt8], mustBeFolder: Bool
    ) throws(BuildError) -> (folder: SharedDescriptor, name: [UInt8]) {
        if assertsFolder { return (try folder().folder, name) }
        let place = try PathLookup(root: root).place(path)
        if place.isFolder { return (try makeFolders(place), name) }
        guard !mustBeFolder else {
            throw .conflict(
                "with more than one source the destination \(shown) must be a directory and end with a \"/\"")
        }
        guard let last = place.all.last else { throw .conflict("\(shown) is the root") }
        let parent = try PathLookup(root: root).place(place.all.dropLast())
        return (try makeFolders(parent), last)
    }

    private func makeFolders(_ place: PathLookup.Place) throws(BuildError) -> SharedDescriptor {
        var current = try place.existing(root)
        guard !KernelFileSystem.contains(current.raw) else {
            throw .refused("\(shown) is in a file system of the kernel's: nothing is written there")
        }
        try keepTimes(of: current)
        for (index, part) in place.missing.enumerated() {
            let text = quoted((place.parts + place.missing[...index]).joined)
            current = try makeFolder(part, in: current, text)
        }
        return current
    }

    private func makeFolder(
        _ name: [UInt8], in parent: SharedDescriptor, _ text: String
    ) throws(BuildError) -> SharedDescriptor {
        let path = CPath(name)
        if path.withPointer({ mkdirat(parent.raw, $0, 0o700) }) != 0 {
            let code = errno
            if code == ENOTDIR { throw .conflict("\(text) cannot be made: what it would be in is a file") }
            throw BuildError(SystemError("mkdir", path: text, code: code))
        }
        let raw = path.withPointer { gantry_openat(parent.raw, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else { throw BuildError(SystemError("openat", path: text, code: errno)) }
        let folder = SharedDescriptor(FileDescriptor(owning: raw))
        try building { () throws(SystemError) in
            try check("fchown", path: text) { fchown(raw, owner.uid, owner.gid) }
            try check("fchmod", path: text) { fchmod(raw, permissions) }
        }
        try keepTimes(of: folder)
        return folder
    }

    /// The folder gets back in the end what it has now, unless something else was said before.
    func keepTimes(of folder: SharedDescriptor) throws(BuildError) {
        let status = try status(folder)
        let key = FolderIdentity(status)
        if times[key] == nil { times[key] = (folder, [status.st_atim, status.st_mtim]) }
    }

    /// A folder that was made for a source's content is as old as the source.
    func setFinalTimes(of folder: SharedDescriptor, _ time: timespec) throws(BuildError) {
        times[FolderIdentity(try status(folder))] = (folder, [time, time])
    }

    private func status(_ folder: SharedDescriptor) throws(BuildError) -> stat {
        var status = stat()
        try building { () throws(SystemError) in
            _ = try check("fstat", path: shown) { fstat(folder.raw, &status) }
        }
        return status
    }

    private func setTimes(of folder: SharedDescriptor, _ times: [timespec]) throws(BuildError) {
        // The magic link leads to the folder itself, also from an O_PATH descriptor.
        let magic = "/proc/self/fd/\(folder.raw)"
        try building { () throws(SystemError) in
            _ = try check("utimensat", path: shown) { utimensat(AT_FDCWD, magic, times, 0) }
        }
    }

    /// When everything is there.
    func finish() throws(BuildError) {
        for (folder, times) in times.values { try setTimes(of: folder, times) }
    }
}

extension PathLookup.Place {
    /// The last folder on the way that is there.
    fileprivate func existing(_ root: SharedDescriptor) throws(BuildError) -> SharedDescriptor {
        guard let last = objects.last else { return root }
        return last
    }
}
