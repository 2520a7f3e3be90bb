import Images
import LinuxSystem
import Registry

/// What `POST /images/create` asks for.
public struct PullRequest: Sendable {
    public var reference: ImageReference
    /// nil: what this machine runs.
    public var platform: ImagePlatform?
    /// As the client handed it in; without it the engine's own files are looked at.
    public var credential: RegistryCredential?
    /// The image gets the name, and who had it loses it. Without it is there for whoever pulled it.
    var isNamed = true

    public init(_ reference: ImageReference, platform: ImagePlatform? = nil, credential: RegistryCredential? = nil) {
        self.reference = reference
        self.platform = platform
        self.credential = credential
    }
}

/// That nobody has read yet: who does not read loses the oldest ones, never the last one.
private let transferMessagesMax = 16_384

extension Engine {
    /// Layers of one image that are fetched at a time.
    private static let parallelLayersMax = 4

    public nonisolated func startPull(_ request: PullRequest) -> ImageTransfer {
        transfer { client, sink in
            _ = try await self.pull(request, client, sink)
        } client: {
            self.registryClient(request.reference, request.credential)
        }
    }

    /// Ends with the task that waits for it: threads that wait for a network must not keep it.
    nonisolated func pullUntilCancelled(
        _ request: PullRequest, _ sink: @escaping TransferSink
    ) async throws(EngineError) -> Image {
        let client = registryClient(request.reference, request.credential)
        let outcome: Result<Image, EngineError> = await withTaskCancellationHandler {
            do throws(EngineError) {
                return .success(try await pull(request, client, sink))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            client.stop.cancel()
        }
        return try outcome.get()
    }

    /// Runs a transfer in the background and turns its outcome into the last message.
    nonisolated func transfer(
        _ work: @escaping @Sendable (RegistryClient, @escaping TransferSink) async throws -> Void,
        client makeClient: () -> RegistryClient
    ) -> ImageTransfer {
        let client = makeClient()
        let (messages, continuation) = AsyncStream.makeStream(
            of: TransferMessage.self, bufferingPolicy: .bufferingNewest(transferMessagesMax))
        continuation.onTermination = { reason in
            if case .cancelled = reason { client.stop.cancel() }
        }
        background.start {
            do {
                // The engine shuts down: threads that wait for a network must not keep it.
                try await withTaskCancellationHandler {
                    try await work(client) { continuation.yield($0) }
                } onCancel: {
                    client.stop.cancel()
                }
            } catch let error as EngineError {
                continuation.yield(TransferMessage(failure: error))
            } catch {
                continuation.yield(TransferMessage(failure: .badRequest("\(error)")))
            }
            continuation.finish()
        }
        return ImageTransfer(messages: messages)
    }

    nonisolated func registryClient(_ reference: ImageReference, _ credential: RegistryCredential?) -> RegistryClient {
        let files = CredentialFiles(environment: options.environment)
        let source: any CredentialSource =
            credential.map { GivenCredential(host: reference.registry, $0, others: files) } ?? files
        return RegistryClient(registries, credentials: source)
    }

    /// Gets an image into the store; nothing of it is seen there before all of it is.
    nonisolated func pull(
        _ request: PullRequest, _ client: RegistryClient, _ sink: @escaping TransferSink
    ) async throws(EngineError) -> Image {
        let reference = request.reference
        let name = RepositoryName(reference)
        let platform = request.platform ?? .host
        sink(TransferMessage("Pulling from \(name.repository)", id: reference.tag ?? reference.digest?.description))
        let plan = try await onRegistry { () throws(RegistryError) in try client.plan(reference, platform: platform) }
        let known = known(reference)
        let image: Image
        if let known, known.manifestDigest == plan.image.descriptor.digest {
            image = known
        } else {
            let config = try await onRegistry { () throws(RegistryError) in try client.blob(plan.config, name) }
            image = try await fetch(request, plan, config, client, sink)
        }
        if request.isNamed {
            await notePull(reference)
            await announceTransfer("pull", reference)
        }
        sink(TransferMessage("Digest: \(plan.top.descriptor.digest)"))
        let news = known?.id == image.id ? "Image is up to date for" : "Downloaded newer image for"
        sink(TransferMessage("Status: \(news) \(reference.familiar)"))
        return image
    }

    private func notePull(_ reference: ImageReference) {
        let record = StoredPull(name: reference.canonical, checkedAt: Clock.now())
        pullTimes[record.name] = record.checkedAt
        saveOrLog(record)
    }

    private nonisolated func known(_ reference: ImageReference) -> Image? {
        // Not there, or damaged: either way it is fetched.
        try? images.image(reference.canonical)
    }

    private nonisolated func fetch(
        _ request: PullRequest, _ plan: ImagePlan, _ config: [UInt8], _ client: RegistryClient,
        _ sink: @escaping TransferSink
    ) async throws(EngineError) -> Image {
        let reference = request.reference
        let intake = try await onImages { images throws(ImageError) in try images.beginIntake(reference) }
        defer { intake.end() }
        do {
            let diffIDs = try RootFileSystem(config: config, host: reference.registry).diffIDs
            guard diffIDs.count == plan.layers.count else {
                throw RegistryError.invalidResponse(
                    host: reference.registry, why: "\(plan.layers.count) layers, and \(diffIDs.count) diff ids")
            }
            let layers = Array(zip(plan.layers, diffIDs))
            for (layer, _) in layers { sink(TransferMessage("Pulling fs layer", id: layer.digest.short)) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, (layer, diffID)) in layers.enumerated() {
                    if index >= Self.parallelLayersMax { try await group.next() }
                    group.addTask {
                        let fetch = LayerFetch(
                            layer: layer, diffID: diffID, name: RepositoryName(reference), client: client,
                            intake: intake, sink: sink)
                        try await self.streams.run { () throws(EngineError) in try fetch.run() }
                    }
                }
                try await group.waitForAll()
            }
        } catch {
            // The others need not go on.
            client.stop.cancel()
            throw (error as? EngineError) ?? (error as? RegistryError).map { .registry($0) } ?? .cancelled
        }
        return try await onImages { _ throws(ImageError) in
            try intake.commit(
                manifest: plan.image.bytes, config: config, references: request.isNamed ? [reference] : [])
        }
    }

    nonisolated func onRegistry<Value: Sendable>(
        _ body: @escaping @Sendable () throws(RegistryError) -> Value
    ) async throws(EngineError) -> Value {
        do throws(RegistryError) { return try await streams.run(body) } catch { throw .registry(error) }
    }
}

/// One layer from the registry into the store, on a thread of its own.
private struct LayerFetch: Sendable {
    let layer: ContentDescriptor
    let diffID: Digest
    let name: RepositoryName
    let client: RegistryClient
    let intake: ImageIntake
    let sink: TransferSink

    func run() throws(EngineError) {
        // What an earlier attempt left may be damaged, as by a power cut: once more, from the first byte.
        if try !attempt(goingOn: true) { _ = try attempt(goingOn: false) }
    }

    /// False when what was there before is to blame; it is gone then.
    private func attempt(goingOn: Bool) throws(EngineError) -> Bool {
        let id = layer.digest.short
        var refusal: ImageError?
        var presentByteCount: Int64 = 0
        do throws(RegistryError) {
            guard let store = try begin(&refusal) else {
                sink(TransferMessage("Already exists", id: id))
                return true
            }
            presentByteCount = store.byteCount
            let meter = TransferMeter("Downloading", id: id, byteCountTotal: layer.size, sink)
            let receipt = BlobReceipt(verifiedBySink: store.byteCount)
            try client.fetchBlob(layer, name, resuming: receipt) { bytes throws(RegistryError) in
                try noting(&refusal) { () throws(ImageError) in try store.write(bytes) }
                meter.report(receipt.byteCount)
            }
            sink(TransferMessage("Download complete", id: id))
            try noting(&refusal) { () throws(ImageError) in try store.finish() }
            sink(TransferMessage("Pull complete", id: id))
            return true
        } catch {
            guard let refusal else { throw .registry(error) }
            if case .system = refusal { throw .image(refusal) }
            if goingOn, presentByteCount > 0 { return false }
            throw .image(refusal)
        }
    }

    private func begin(_ refusal: inout ImageError?) throws(RegistryError) -> LayerIntake? {
        try noting(&refusal) { () throws(ImageError) in
            try intake.startLayer(layer.digest, byteCount: layer.size, diffID: diffID)
        }
    }

    /// The store's errors pass through the registry's code as what they are.
    private func noting<Result>(
        _ refusal: inout ImageError?, _ body: () throws(ImageError) -> Result
    ) throws(RegistryError) -> Result {
        do throws(ImageError) {
            return try body()
        } catch {
            refusal = error
            throw .content(error.description)
        }
    }
}
