import CLinux
import Glibc
import LinuxSystem

@testable import Images

/// A folder of the test's own, in memory, removed at the end.
final class TestFolder {
    let path: String

    init() throws {
        var template = Array("/dev/shm/gantry-images-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // A folder that is left shows in /dev/shm; a test's end has nobody to tell.
    deinit { try? TreeRemoval.remove(path) }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        try FileSystem.replaceFile("\(path)/\(name)", with: bytes)
        return "\(path)/\(name)"
    }
}

/// Bytes in pieces of a given size.
final class MemorySource: ByteSource {
    private let bytes: UnsafeMutableRawBufferPointer
    private let pieceByteCount: Int
    private var offset = 0

    init(_ content: [UInt8], pieceByteCount: Int = 4096) {
        bytes = .allocate(byteCount: content.count, alignment: 8)
        bytes.copyBytes(from: content)
        self.pieceByteCount = pieceByteCount
    }

    deinit { bytes.deallocate() }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        let end = min(offset + pieceByteCount, bytes.count)
        defer { offset = end }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
    }
}

/// An unpacked layer to look at. Beside its root lies a file that nothing may touch.
struct Unpacked {
    let folder: TestFolder
    var root: String { "\(folder.path)/fs" }
    var sentinel: String { "\(folder.path)/sentinel" }

    init(_ tar: [UInt8], options: ImageStoreOptions = ImageStoreOptions()) throws {
        folder = try TestFolder()
        try FileSystem.makeDirectories("\(folder.path)/fs", mode: 0o755)
        try FileSystem.makeDirectories("\(folder.path)/discards")
        _ = try folder.write("sentinel", Array("untouched".utf8))
        let unpacker = try LayerUnpacker(folder: root, discards: "\(folder.path)/discards", options: options)
        try unpacker.unpack(MemorySource(tar))
    }

    init(_ build: (inout TarBuilder) -> Void) throws {
        var tar = TarBuilder()
        build(&tar)
        try self.init(tar.finished)
    }

    func status(_ name: String) -> stat? {
        var status = stat()
        return lstat("\(root)/\(name)", &status) == 0 ? status : nil
    }

    func text(_ name: String) throws -> String {
        String(decoding: try FileSystem.readFile("\(root)/\(name)"), as: UTF8.self)
    }

    func target(_ name: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 5000)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { readlink("\(root)/\(name)", $0, bytes.count) } ?? -1
        }
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    func attribute(_ name: String, of file: String) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = lgetxattr("\(root)/\(file)", name, &buffer, buffer.count)
        return count < 0 ? nil : Array(buffer.prefix(count))
    }

    func isWhiteout(_ name: String) -> Bool {
        status(name).map { $0.st_mode & S_IFMT == S_IFCHR && $0.st_rdev == 0 } ?? false
    }

    func isOpaque(_ name: String) -> Bool { attribute("trusted.overlay.opaque", of: name) == [UInt8(ascii: "y")] }
}

/// Images as archives.
enum Archives {
    /// A layer with one file.
    static func layer(_ name: String = "hello", _ text: String = "world\n") -> [UInt8] {
        var tar = TarBuilder()
        tar.file(name, text)
        return tar.finished
    }

    static func config(_ diffIDs: [Digest], extra: String = "") -> [UInt8] {
        let list = diffIDs.map { "\"\($0)\"" }.joined(separator: ",")
        return Array(
            """
            {"architecture":"amd64","os":"linux","created":"2024-02-29T12:00:00.5Z","config":{"Cmd":["/bin/sh"],\
            "Env":["PATH=/bin"],"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":[\(list)]}\(extra)}
            """.utf8)
    }

    /// As `docker save` writes it.
    static func docker(
        layers: [[UInt8]], tags: [String] = ["test:1"], diffIDs: [Digest]? = nil, manifestFirst: Bool = false
    ) -> [UInt8] {
        let config = config(diffIDs ?? layers.map(Digest.sha256(of:)))
        let name = Digest.sha256(of: config).hex
        let layerNames = layers.indices.map { "\"layer\($0)/layer.tar\"" }.joined(separator: ",")
        let tagNames = tags.map { "\"\($0)\"" }.joined(separator: ",")
        let manifest = Array(
            "[{\"Config\":\"\(name).json\",\"RepoTags\":[\(tagNames)],\"Layers\":[\(layerNames)]}]".utf8)
        var tar = TarBuilder()
        if manifestFirst { tar.file("manifest.json", manifest) }
        for (index, layer) in layers.enumerated() { tar.file("layer\(index)/layer.tar", layer) }
        tar.file("\(name).json", config)
        if !manifestFirst { tar.file("manifest.json", manifest) }
        return tar.finished
    }

    static func descriptor(_ bytes: [UInt8], type: String = "", extra: String = "") -> String {
        "{\"mediaType\":\"\(type)\",\"digest\":\"\(Digest.sha256(of: bytes))\",\"size\":\(bytes.count)\(extra)}"
    }

    /// A tar of an OCI layout; `name` is the annotation, `change` may add what does not belong.
    static func oci(
        layers: [(stored: [UInt8], diffID: Digest)], annotations: String = "", nested: Bool = false,
        changeManifest: (String) -> String = { $0 }
    ) -> [UInt8] {
        let config = config(layers.map(\.diffID))
        let list = layers.map { descriptor($0.stored, type: MediaType.layer(.gzip)) }.joined(separator: ",")
        let manifest = Array(
            changeManifest(
                "{\"schemaVersion\":2,\"config\":\(descriptor(config, type: MediaType.config)),\"layers\":[\(list)]}"
            ).utf8)
        var blobs = [config, manifest] + layers.map(\.stored)
        var top = descriptor(manifest, type: MediaType.manifest, extra: annotations)
        if nested {
            let foreign =
                "{\"mediaType\":\"\(MediaType.manifest)\",\"digest\":\"\(Digest.sha256(of: []))\",\"size\":0,"
                + "\"platform\":{\"architecture\":\"s390x\",\"os\":\"linux\"}}"
            let own = descriptor(
                manifest, type: MediaType.manifest, extra: ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}"
            )
            let attestation =
                "{\"mediaType\":\"\(MediaType.manifest)\",\"digest\":\"\(Digest.sha256(of: []))\","
                + "\"size\":0,\"platform\":{\"architecture\":\"unknown\",\"os\":\"unknown\"}}"
            let index = Array("{\"schemaVersion\":2,\"manifests\":[\(attestation),\(foreign),\(own)]}".utf8)
            blobs.append(index)
            top = descriptor(index, type: MediaType.index, extra: annotations)
        }
        var tar = TarBuilder()
        tar.file("./oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}")
        for blob in blobs { tar.file("blobs/sha256/\(Digest.sha256(of: blob).hex)", blob) }
        tar.file("index.json", "{\"schemaVersion\":2,\"manifests\":[\(top)]}")
        return tar.finished
    }
}

/// Opens a store that was open before. A process that another test has just forked may hold its lock a moment longer.
func reopenedStore(_ root: String) throws -> ImageStore {
    for _ in 0..<2_000 {
        do {
            return try ImageStore(root: root)
        } catch ImageError.locked {
            usleep(10_000)
        }
    }
    return try ImageStore(root: root)
}

/// A store in memory.
struct StoreFixture {
    let folder: TestFolder
    let store: ImageStore

    init(options: ImageStoreOptions = ImageStoreOptions()) throws {
        folder = try TestFolder()
        store = try ImageStore(root: "\(folder.path)/images", options: options)
    }

    @discardableResult
    func load(_ archive: [UInt8]) throws -> [LoadedImage] {
        let path = try folder.write("archive", archive)
        let file = try FileDescriptor.open(path, O_RDONLY)
        return try store.load(from: file.raw)
    }

    /// Names of everything but the index, the lock and empty folders.
    func content() throws -> [String] {
        store.trash.wait()
        var names: [String] = []
        for place in ["blobs/sha256", "layers", "partial", "pulls", "tmp"] {
            names += try FileSystem.list("\(store.root)/\(place)").map { "\(place)/\($0)" }
        }
        return names
    }
}

extension ImageStore {
    /// What is left in the folder for temporaries once everything discarded is gone.
    func emptiedTemporaries() throws -> [String] {
        trash.wait()
        return try FileSystem.list("\(root)/tmp")
    }
}

/// Runs `work` for 0..<count, each on a thread of its own; throws the first error.
func onThreads(count: Int, _ work: @escaping @Sendable (Int) throws(ImageError) -> Void) throws {
    let failures = Monitor<[ImageError]>([])
    let threads = (0..<count).compactMap { index in
        WorkerThread(name: "test") {
            do throws(ImageError) {
                try work(index)
            } catch {
                failures.change { $0.append(error) }
            }
        }
    }
    for thread in threads { thread.join() }
    if let failure = failures.read({ $0.first }) { throw failure }
}

/// Runs a shell script and answers its output; nil when it fails.
func output(of script: String, in folder: TestFolder) throws -> [UInt8]? {
    let path = try folder.write("script", Array("set -e\n\(script)\n".utf8))
    guard system("sh \(path) > \(path).out 2> \(path).err") == 0 else { return nil }
    return try FileSystem.readFile("\(path).out", byteCountMax: 1 << 30)
}

/// Small deterministic generator, so that a failure names the seed that repeats it (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}

/// Writes to a pipe on a thread of its own, then closes it.
// SAFETY: what changes is written by the one thread before it ends, and read after joining it.
final class Sending: @unchecked Sendable {
    private let bytes: [UInt8]
    private let descriptor: Int32
    private var thread = pthread_t()
    private var failure: SystemError?

    init(_ bytes: [UInt8], to descriptor: Int32) {
        self.bytes = bytes
        self.descriptor = descriptor
        let context = Unmanaged.passUnretained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let sending = Unmanaged<Sending>.fromOpaque(context).takeUnretainedValue()
                do throws(SystemError) {
                    try FileDescriptor(owning: sending.descriptor).writeAll(sending.bytes)
                } catch {
                    sending.failure = error
                }
                return nil
            }, context)
    }

    /// What went wrong, once everything is sent.
    func wait() -> SystemError? {
        pthread_join(thread, nil)
        return failure
    }
}
