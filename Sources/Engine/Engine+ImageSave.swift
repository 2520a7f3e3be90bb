import CLinux
import EngineWire
import Glibc
import Images
import LinuxSystem
import Logging
import StackModel
import Synchronization

/// An archive on its way out: a thread of its own writes it into a pipe, the client's connection reads from there.
/// Letting go of it ends the thread.
public final class ImageSaving: Sendable {
    private static let pieceByteCount = 256 << 10
    private let output: SharedDescriptor
    private let pool: BlockingPool
    fileprivate let failure = Mutex<ImageError?>(nil)

    fileprivate init(output: SharedDescriptor, pool: BlockingPool) {
        self.output = output
        self.pool = pool
    }

    /// The next piece; nil is the end of a whole archive, and one that broke off throws.
    public func next() async throws(EngineError) -> [UInt8]? {
        let output = output
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try await pool.run { () throws(SystemError) in try readPiece(output.raw, Self.pieceByteCount) }
        } catch {
            throw .system(error)
        }
        if !bytes.isEmpty { return bytes }
        if let error = failure.withLock({ $0 }) { throw .image(error) }
        return nil
    }
}

private func readPiece(_ raw: Int32, _ byteCountMax: Int) throws(SystemError) -> [UInt8] {
    var failed: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: byteCountMax) { buffer, count in
        do throws(SystemError) {
            count = try check("read") { read(raw, buffer.baseAddress, buffer.count) }
        } catch {
            failed = error
        }
    }
    if let failed { throw failed }
    return bytes
}

extension Engine {
    /// `GET /images/get`: the images of these names in one archive. A name without a tag stands for all of its tags,
    /// and an id for an image without a name.
    public func startSaving(_ names: [String], as form: ArchiveForm) async throws(EngineError) -> ImageSaving {
        guard !names.isEmpty else { throw .badRequest("no image is named") }
        let wanted = try await onImages { images throws(ImageError) in
            var wanted: [(image: Image, references: [ImageReference])] = []
            for name in names {
                for (image, references) in try images.exportable(name) {
                    if let index = wanted.firstIndex(where: { $0.image.id == image.id }) {
                        wanted[index].references += references.filter { !wanted[index].references.contains($0) }
                    } else {
                        wanted.append((image, references))
                    }
                }
            }
            return wanted
        }
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw .system(SystemError("pipe2", code: errno)) }
        // Fewer switches between the two sides; a kernel that allows less is as good.
        _ = gantry_fcntl(ends[1], F_SETPIPE_SZ, 1 << 20)
        let saving = ImageSaving(output: SharedDescriptor(FileDescriptor(owning: ends[0])), pool: streams)
        let input = ClosableDescriptor(FileDescriptor(owning: ends[1]))
        let inputRaw = ends[1]
        let (images, streams, log) = (images, streams, log)
        background.start { [weak saving] in
            do throws(ImageError) {
                try await streams.run { () throws(ImageError) in try images.export(wanted, as: form, to: inputRaw) }
            } catch {
                if case .system(let cause) = error, cause.code == EPIPE {
                    // The client has gone.
                } else {
                    log.error("saving images failed: \(error)")
                }
                saving?.failure.withLock { $0 = error }
            }
            input.close()
        }
        for (image, references) in wanted { announceImage("save", image.id, name: references.first?.familiar) }
        return saving
    }
}

extension ImageStore {
    /// The images that a name stands for when they are saved, and their names in the archive.
    func exportable(_ name: String) throws(ImageError) -> [(Image, [ImageReference])] {
        let afterSlash = name[(name.lastIndex(of: "/") ?? name.startIndex)...]
        if !afterSlash.contains(":"), !name.contains("@") {
            let wanted = try? ImageReference(parsing: name)  // Ids are no names, and are looked up below.
            let tagged = try images().compactMap { image -> (Image, [ImageReference])? in
                let own = image.references.filter { $0.tag != nil && $0.familiarName == wanted?.familiarName }
                return own.isEmpty ? nil : (image, own)
            }
            if wanted != nil, !tagged.isEmpty { return tagged }
        }
        let image = try image(name)
        let reference = try? ImageReference(parsing: name)  // As above.
        return [(image, image.references.filter { $0 == reference && $0.tag != nil })]
    }
}
