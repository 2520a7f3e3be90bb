import CLinux
import Glibc
import LinuxSystem

@testable import Images

/// What libFuzzer calls with each input: a layer as it may be stored, plain, gzip or zstd; one that is none is put into
/// an archive's place instead. Whatever it holds, it is unpacked below its folder or refused with an `ImageError`; a
/// crash, a hang, a fill of memory or a byte outside is a fault.
///
///     make fuzz-images FUZZ_SECONDS=600
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLayer(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    FuzzFolder.shared.unpack(bytes)
    return 0
}

/// Bytes in pieces of an odd size, so that nothing relies on where one ends.
private final class PieceSource: ByteSource {
    private let bytes: UnsafeMutableRawBufferPointer
    private var offset = 0

    init(_ content: [UInt8]) {
        bytes = .allocate(byteCount: max(1, content.count), alignment: 8)
        bytes.copyBytes(from: content)
        count = content.count
    }

    private let count: Int
    deinit { bytes.deallocate() }

    func next() throws(ImageError) -> UnsafeRawBufferPointer {
        let end = min(offset + 1117, count)
        defer { offset = end }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
    }
}

/// Where layers go: in memory, emptied after each. Beside the layer stands a file that must stay as it is.
private final class FuzzFolder: Sendable {
    static let shared = FuzzFolder()
    private let path: String
    private let sentinel = Array("untouched".utf8)
    private let limits: ImageLimits

    init() {
        var template = Array("/dev/shm/gantry-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fail("mkdtemp: \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var limits = ImageLimits()
        limits.layerEntryCountMax = 2_000
        limits.layerByteCountMax = 16 << 20
        limits.folderNameByteCountMax = 1 << 20
        limits.archiveByteCountMax = 16 << 20
        limits.archiveEntryCountMax = 200
        self.limits = limits
        wanted { try FileSystem.replaceFile("\(path)/sentinel", with: sentinel) }
    }

    private func wanted<Value>(_ body: () throws -> Value) -> Value {
        do {
            return try body()
        } catch {
            fail("\(error)")
        }
    }

    func unpack(_ bytes: [UInt8]) {
        var options = ImageStoreOptions()
        options.limits = limits
        options.skipsDevices = geteuid() != 0
        options.durable = false
        var isLayer = true
        do throws(ImageError) {
            _ = try LayerMaking(options: options).make(PieceSource(bytes), folder: "\(path)/made") { false }
        } catch {
            precondition(!error.description.isEmpty)
            isLayer = false
        }
        check(["made", "sentinel"])
        wanted { try TreeRemoval.remove("\(path)/made") }
        if bytes.count % 2 == 0 || !isLayer { readAsArchive(bytes) }
    }

    private func readAsArchive(_ bytes: [UInt8]) {
        wanted { try FileSystem.makeDirectories("\(path)/intake") }
        do throws(ImageError) {
            let intake = ArchiveIntake(folder: "\(path)/intake", limits: limits)
            try intake.read(PieceSource(bytes))
            for image in try ArchiveImages(intake: intake, limits: limits).all() {
                precondition(image.layers.count == image.config.rootfs.diffIDs.count)
                precondition(image.id == Digest.sha256(of: image.configBytes))
            }
        } catch {
            precondition(!error.description.isEmpty)
        }
        check(["intake", "sentinel"])
        wanted { try TreeRemoval.remove("\(path)/intake") }
    }

    private func check(_ names: Set<String>) {
        let found = wanted { try FileSystem.list(path) }
        guard names.isSuperset(of: found) else { fail("\(found) beside the layer") }
        guard wanted({ try FileSystem.readFile("\(path)/sentinel") }) == sentinel else { fail("written outside") }
    }
}

/// Ends the fuzzer: this input is a finding.
private func fail(_ why: String) -> Never {
    print(why)
    preconditionFailure(why)
}
