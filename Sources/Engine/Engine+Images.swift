import CLinux
import EngineWire
import Glibc
import Images
import LinuxSystem
import Logging
import StackModel

/// One line of the answer to `POST /images/load`.
public struct LoadMessage: Encodable, Sendable {
    public struct Detail: Encodable, Sendable {
        public var message: String
    }
    public var stream: String?
    public var error: String?
    public var errorDetail: Detail?
}

/// An archive on its way into the store: the client's bytes go through a pipe to a thread that unpacks them.
public final class ImageLoading: Sendable {
    /// Ends when the load has ended.
    public let messages: AsyncStream<LoadMessage>
    private let input: ClosableDescriptor
    private let pool: BlockingPool

    fileprivate init(input: ClosableDescriptor, messages: AsyncStream<LoadMessage>, pool: BlockingPool) {
        self.input = input
        self.messages = messages
        self.pool = pool
    }

    /// `false` when nobody reads any more: the load has failed and says so in `messages`.
    public func write(_ bytes: [UInt8]) async -> Bool {
        let input = input
        return await pool.run { input.writeAll(bytes) }
    }

    /// The archive is complete (or cut off, which the reader will notice).
    public func finishWriting() async { input.close() }
}

extension Engine {
    public func imageSummaries() throws(EngineError) -> [ImageSummary] {
        do throws(ImageError) {
            return try images.images().map { image in
                ImageSummary(
                    Id: image.id.description, RepoTags: image.tagNames,
                    Created: image.createdSeconds, Size: Int64(clamping: image.byteCount))
            }
        } catch {
            throw .image(error)
        }
    }

    /// `GET /images/{name}/json`; `name` is a name, an id or a unique beginning of one.
    public func imageInspect(_ name: String) throws(EngineError) -> ImageInspect {
        do throws(ImageError) {
            let image = try images.image(name)
            return ImageInspect(
                Id: image.id.description, RepoTags: image.tagNames, RepoDigests: image.digestNames,
                Size: Int64(clamping: image.byteCount))
        } catch {
            throw .image(error)
        }
    }

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
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw .system(SystemError("pipe2", code: errno)) }
        let reader = SharedDescriptor(FileDescriptor(owning: ends[0]))
        let (messages, continuation) = AsyncStream.makeStream(of: LoadMessage.self)
        background.start { [self] in await load(reader, continuation) }
        return ImageLoading(
            input: ClosableDescriptor(FileDescriptor(owning: ends[1])), messages: messages, pool: streams)
    }

    private func load(_ reader: SharedDescriptor, _ messages: AsyncStream<LoadMessage>.Continuation) async {
        defer { messages.finish() }
        do throws(EngineError) {
            let loaded = try await onImages { images throws(ImageError) in
                try images.load(from: reader.raw) { _ in }
            }
            for image in loaded {
                let line = image.reference.map { "Loaded image: \($0.familiar)" } ?? "Loaded image ID: \(image.id)"
                messages.yield(LoadMessage(stream: line + "\n"))
            }
        } catch {
            let text = error.diagnostics.map(\.message).joined(separator: "; ")
            messages.yield(LoadMessage(error: text, errorDetail: LoadMessage.Detail(message: text)))
        }
    }
}

extension Image {
    /// Names with a tag, as `RepoTags`.
    fileprivate var tagNames: [String] { references.filter { $0.digest == nil }.map(\.familiar).sorted() }

    /// `RepoDigests`: names with the digest the image was pulled by, which may be an index's, or its own.
    fileprivate var digestNames: [String] {
        Set(references.map { "\($0.familiarName)@\($0.digest ?? manifestDigest)" }).sorted()
    }
}
