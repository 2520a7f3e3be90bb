import CLinux
import Glibc
import Images
import LinuxSystem

/// A path in parts, as bytes: names of files need not be UTF-8, and a `Character` may hide a `/`.
typealias PathParts = [[UInt8]]

extension PathParts {
    /// `text` cleaned by its text alone (Go's `filepath.Clean`), counted from the root: `..` does not leave it.
    init(cleaning text: [UInt8]) throws(BuildError) {
        guard !text.contains(0) else { throw .invalid("\(quoted(text)) has a NUL in it") }
        self = []
        for part in text.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
            if part.elementsEqual("..".utf8) {
                _ = popLast()
            } else {
                append(Array<UInt8>(part))
            }
        }
    }

    var joined: [UInt8] { Array<UInt8>(self.joined(separator: [UInt8(ascii: "/")])) }

    /// For messages and patterns: what is no UTF-8 is replaced.
    var text: String { String(decoding: joined, as: UTF8.self) }
}

/// Looks paths up below a root whose content is somebody else's, one part at a time: links are read and followed here,
/// by their text and with the root as theirs, so that no lookup of the kernel's follows one. Magic links (`/proc`)
/// have a text like others, and lead no further than it. As containerd's `fs.RootPath`, what does not exist on the way
/// is taken as it is written.
struct PathLookup {
    /// As `fs.RootPath` has it.
    private static let linksMax = 255
    /// Each holds a descriptor while the path is looked up.
    private static let partsMax = 256
    let root: SharedDescriptor
    /// Whether what is at a path may be seen at all; nil: everything.
    var isVisible: ((_ path: PathParts, _ isFolder: Bool) -> Bool)?

    /// What a path leads to.
    struct Place {
        /// Without links, as far as it exists.
        fileprivate(set) var parts: PathParts = []
        /// What follows and does not exist.
        fileprivate(set) var missing: PathParts = []
        /// What stands at the root and at each of `parts`, by `O_PATH`.
        fileprivate(set) var objects: [SharedDescriptor]
        /// Of the last object.
        fileprivate(set) var status: stat
        /// Something on the way is there and not visible.
        fileprivate(set) var isHidden = false

        var exists: Bool { missing.isEmpty }
        var isFolder: Bool { exists && gantry_is_directory(status.st_mode) != 0 }
        var all: PathParts { parts + missing }
    }

    /// - Parameter path: may have `.` and `..`.
    func place(_ path: PathParts) throws(BuildError) -> Place {
        var place = Place(objects: [root], status: try Self.status(root))
        var pending = Array(path.reversed())
        var linkCount = 0
        while let name = pending.popLast() {
            if name.elementsEqual(".".utf8) { continue }
            if name.elementsEqual("..".utf8) {
                try leave(&place)
                continue
            }
            guard let target = try enter(name, &place) else { continue }
            linkCount += 1
            guard linkCount <= Self.linksMax else {
                throw .refused("\(quoted(path.joined)) leads through more than \(Self.linksMax) links")
            }
            if target.first == UInt8(ascii: "/") { try reset(&place) }
            pending += target.split(separator: UInt8(ascii: "/")).reversed().map { Array($0) }
        }
        return place
    }

    private func reset(_ place: inout Place) throws(BuildError) {
        let isHidden = place.isHidden
        place = Place(objects: [root], status: try Self.status(root))
        place.isHidden = isHidden
    }

    private func leave(_ place: inout Place) throws(BuildError) {
        if place.missing.popLast() != nil { return }
        guard place.parts.popLast() != nil else { return }
        place.objects.removeLast()
        if let last = place.objects.last { place.status = try Self.status(last) }
    }

    /// The target where `name` is a link.
    private func enter(_ name: [UInt8], _ place: inout Place) throws(BuildError) -> [UInt8]? {
        guard place.exists, let folder = place.objects.last else {
            place.missing.append(name)
            return nil
        }
        let path = place.parts + [name]
        guard path.count <= Self.partsMax else {
            throw .limit("\(quoted(path.joined)) has more than \(Self.partsMax) parts")
        }
        let raw = CPath(name).withPointer { gantry_openat(folder.raw, $0, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0) }
        guard raw >= 0 else {
            let code = errno
            guard code == ENOENT || code == ENOTDIR else {
                throw BuildError(SystemError("openat", path: quoted(path.joined), code: code))
            }
            place.missing.append(name)
            return nil
        }
        let object = SharedDescriptor(FileDescriptor(owning: raw))
        let status = try Self.status(object)
        if let isVisible, !isVisible(path, gantry_is_directory(status.st_mode) != 0) {
            place.isHidden = true
            place.missing.append(name)
            return nil
        }
        if gantry_is_symlink(status.st_mode) != 0 { return try Self.target(object, path) }
        place.parts = path
        place.objects.append(object)
        place.status = status
        return nil
    }

    private static func status(_ object: SharedDescriptor) throws(BuildError) -> stat {
        var status = stat()
        try building { () throws(SystemError) in _ = try check("fstat") { fstat(object.raw, &status) } }
        return status
    }

    private static func target(_ link: SharedDescriptor, _ path: PathParts) throws(BuildError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { readlinkat(link.raw, "", $0, buffer.count) } ?? -1
        }
        guard count >= 0 else { throw BuildError(SystemError("readlinkat", path: quoted(path.joined), code: errno)) }
        return Array(bytes[..<count])
    }
}
