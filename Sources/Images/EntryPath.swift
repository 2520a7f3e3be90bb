import Glibc
import LinuxSystem

extension CPath {
    var quotedText: String { quoted(bytes[...]) }

    /// A call on the path, again when a signal interrupts it. It becomes text only when there is an error to tell.
    @discardableResult
    func attempt<Result: SignedInteger>(
        _ call: String, _ body: (UnsafePointer<CChar>) -> Result
    ) throws(SystemError) -> Result {
        while true {
            let result = withPointer(body)
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw SystemError(call, path: quotedText, code: code) }
        }
    }
}

/// An entry's place in a layer: cleaned of `.`, `..`, and doubled slashes, relative to the root.
struct EntryPath: Equatable {
    /// Folder of the entry, without slashes at either end; empty is the root.
    let parent: [UInt8]
    /// Last component; empty is the root itself.
    let name: [UInt8]

    /// `PATH_MAX` less the terminator, and `NAME_MAX`: longer names cannot be made by anyone.
    static let byteCountMax = 4095
    static let componentByteCountMax = 255

    var isRoot: Bool { name.isEmpty }
    var bytes: [UInt8] { parent.isEmpty ? name : parent + [UInt8(ascii: "/")] + name }

    /// Cleans a name as Docker does: absolute names count from the layer's root, and `..` may not leave it.
    init(cleaning raw: [UInt8]) throws(ImageError) {
        guard !raw.contains(0) else { throw .archive(why: "entry \(quoted(raw)): NUL in its name") }
        guard raw.count <= EntryPath.byteCountMax else {
            throw .archive(why: "entry \(quoted(raw)): name longer than \(EntryPath.byteCountMax) bytes")
        }
        var components: [ArraySlice<UInt8>] = []
        for component in raw.split(separator: UInt8(ascii: "/")) {
            if component.elementsEqual(".".utf8) { continue }
            if component.elementsEqual("..".utf8) {
                guard components.popLast() != nil else {
                    throw .archive(why: "entry \(quoted(raw)) leads out of the image")
                }
                continue
            }
            guard component.count <= EntryPath.componentByteCountMax else {
                throw .archive(
                    why: "entry \(quoted(raw)): part longer than \(EntryPath.componentByteCountMax) bytes")
            }
            components.append(component)
        }
        name = components.popLast().map { Array($0) } ?? []
        parent = Array(components.joined(separator: [UInt8(ascii: "/")]))
    }
}

/// What an entry's name says about lower layers (image-spec `layer.md`, "Whiteouts").
enum Whiteout: Equatable {
    /// `.wh.NAME`: NAME of the lower layers is gone.
    case hides([UInt8])
    /// `.wh..wh..opq`: nothing of the folder in lower layers shows.
    case opaque
    /// Other names under `.wh..wh.`: bookkeeping of aufs.
    case bookkeeping

    static let prefix = Array(".wh.".utf8)
    static let metaPrefix = Array(".wh..wh.".utf8)

    /// nil for an ordinary entry.
    init?(path: EntryPath) throws(ImageError) {
        if path.parent.split(separator: UInt8(ascii: "/")).contains(where: { $0.starts(with: Whiteout.metaPrefix) }) {
            self = .bookkeeping
            return
        }
        guard path.name.starts(with: Whiteout.prefix) else { return nil }
        if path.name.elementsEqual(".wh..wh..opq".utf8) {
            self = .opaque
        } else if path.name.starts(with: Whiteout.metaPrefix) {
            self = .bookkeeping
        } else {
            let hidden = Array(path.name.dropFirst(Whiteout.prefix.count))
            guard !hidden.isEmpty, hidden != Array(".".utf8), hidden != Array("..".utf8) else {
                throw .archive(why: "whiteout \(quoted(path.bytes)) names nothing")
            }
            self = .hides(hidden)
        }
    }
}
