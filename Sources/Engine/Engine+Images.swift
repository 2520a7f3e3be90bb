import CLinux
import EngineWire
import Glibc
import Images
import LinuxSystem
import Logging
import StackModel

/// One line of the answer to `POST /images/load`, and to `POST /images/create` from a tar.
public struct LoadMessage: Encodable, Sendable {
    public struct Detail: Encodable, Sendable {
        public var message: String
    }
    public var stream: String?
    public var status: String?
    public var error: String?
    public var errorDetail: Detail?
}

/// An archive on its way into the store: the client's bytes go through a pipe to a thread that unpacks them.
public final class ImageLoading: Sendable {
    /// Four pieces of the client's: most find room at once, and need no other thread.
    private static let pipeByteCount: Int32 = 1 << 20
    /// Ends when the load has ended.
    public let messages: AsyncStream<LoadMessage>
    private let input: ClosableDescriptor
    private let pool: BlockingPool

    fileprivate init(input: ClosableDescriptor, messages: AsyncStream<LoadMessage>, pool: BlockingPool) {
        self.input = input
        self.messages = messages
        self.pool = pool
        input.preparePipe(byteCount: Self.pipeByteCount)
    }

    /// `false` when nobody reads any more: the load has failed and says so in `messages`.
    public func write(_ bytes: [UInt8]) async -> Bool {
        let input = input
        guard let written = input.writeAvailable(bytes) else { return false }
        return written == bytes.count ? true : await pool.run { input.writeAll(bytes, from: written) }
    }

    /// The archive is complete (or cut off, which the reader will notice).
    public func finishWriting() async { input.close() }
}

extension Engine {
    /// What a load, a pull or a removal left when the engine before ended in the middle of it. Images are roots by
    /// themselves, and one that a container is made from cannot be removed, so this needs to know no container.
    func collectImageGarbage() async {
        do throws(EngineError) {
            let collected = try await onImages { images throws(ImageError) in try images.collectGarbage() }
            if collected.layerCount + collected.blobCount > 0 {
                log.info("removed \(collected.layerCount) layers and \(collected.blobCount) blobs of no image")
            }
        } catch {
            log.warning("images: \(error.diagnostics.map(\.message).joined(separator: "; "))")
        }
    }

    public func startLoading() throws(EngineError) -> ImageLoading {
        try taking { [self] reader, say throws(EngineError) in
            let loaded = try await onImages { images throws(ImageError) in
                try images.load(from: reader.raw) { _ in }
            }
            for image in loaded {
                let line = image.reference.map { "Loaded image: \($0.familiar)" } ?? "Loaded image ID: \(image.id)"
                say(LoadMessage(stream: line + "\n"))
                await announceImage("load", image.id, name: image.reference?.familiar)
            }
        }
    }

    /// `POST /images/create?fromSrc=-`: an image of one layer from a tar of a root file system.
    ///
    /// - Parameter changes: instructions of a Dockerfile; all are checked before a byte is read.
    public func startImport(
        _ reference: ImageReference?, message: String?, changes: [String]
    ) throws(EngineError) -> ImageLoading {
        var defaults = ContainerDefaults()
        do throws(ImageError) {
            for change in changes { try ConfigInstruction(parsing: change).apply(to: &defaults) }
        } catch {
            throw .badRequest(error.description)
        }
        var making = ImageMaking(created: rfc3339(Clock.now()), comment: message ?? "Imported from -")
        making.config = defaults
        return try taking { [self, making] reader, say throws(EngineError) in
            let image = try await onImages { images throws(ImageError) in
                try images.importTree(from: reader.raw, references: reference.map { [$0] } ?? [], making)
            }
            say(LoadMessage(status: image.id.description))
            await announceImage("import", image.id, name: reference?.familiar)
        }
    }

    /// Runs `work` in the background on what the client sends, and hands on what it says.
    private func taking(
        _ work:
            @escaping @Sendable (SharedDescriptor, @Sendable (LoadMessage) -> Void) async throws(EngineError) -> Void
    ) throws(EngineError) -> ImageLoading {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw .system(SystemError("pipe2", code: errno)) }
        let reader = SharedDescriptor(FileDescriptor(owning: ends[0]))
        let (messages, continuation) = AsyncStream.makeStream(of: LoadMessage.self)
        background.start {
            do throws(EngineError) {
                try await work(reader) { continuation.yield($0) }
            } catch {
                let text = error.diagnostics.map(\.message).joined(separator: "; ")
                continuation.yield(LoadMessage(error: text, errorDetail: LoadMessage.Detail(message: text)))
            }
            continuation.finish()
        }
        return ImageLoading(
            input: ClosableDescriptor(FileDescriptor(owning: ends[1])), messages: messages, pool: streams)
    }
}

extension Image {
    /// Names with a tag, as `RepoTags`.
    var tagNames: [String] { references.filter { $0.digest == nil }.map(\.familiar).sorted() }

    /// `RepoDigests`: names with the digest the image was pulled by, which may be an index's, or its own.
    var digestNames: [String] {
        Set(references.map { "\($0.familiarName)@\($0.digest ?? manifestDigest)" }).sorted()
    }
}
