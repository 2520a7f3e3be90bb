import Glibc
import Images
import LinuxSystem
import Registry

extension Engine {
    /// - Parameters:
    ///   - reference: what it is pushed as.
    ///   - source: the image's name here; nil: the same.
    public nonisolated func startPush(
        _ reference: ImageReference, from source: ImageReference? = nil, credential: RegistryCredential?
    ) -> ImageTransfer {
        transfer { client, sink in
            try await self.push(reference, from: source ?? reference, client, sink)
        } client: {
            self.registryClient(reference, credential)
        }
    }

    private nonisolated func push(
        _ reference: ImageReference, from local: ImageReference, _ client: RegistryClient,
        _ sink: @escaping TransferSink
    ) async throws(EngineError) {
        let name = RepositoryName(reference)
        sink(TransferMessage("The push refers to repository [\(name)]"))
        let (image, manifest) = try await onImages { images throws(ImageError) in
            let image = try images.image(local.canonical)
            guard let manifest = try images.document(image.manifestDigest) else {
                throw .damaged("the manifest of \(reference.familiar) is gone; load or pull the image again")
            }
            return (image, manifest)
        }
        let document = try await onRegistry { () throws(RegistryError) in
            try ManifestDocument.parse(manifest, contentType: nil, host: "the image store")
        }
        guard let config = document.config, let layers = document.layers else {
            throw .image(.damaged("\(reference.familiar) has no layers"))
        }
        // Another name of the image at the same registry: its blobs are likely there.
        let source = image.references.first {
            $0 != local && $0.registry == reference.registry && $0.repository != reference.repository
        }
        for blob in layers + [config] { sink(TransferMessage("Preparing", id: blob.digest.short)) }
        for blob in layers + [config] {
            let supply = try await onImages { images throws(ImageError) in
                let (file, byteCount) = try images.openBlob(blob.digest)
                return StoredBlob(file: file, byteCount: Int64(clamping: byteCount))
            }
            let meter = TransferMeter("Pushing", id: blob.digest.short, byteCountTotal: blob.size, sink)
            let outcome = try await onRegistry { () throws(RegistryError) in
                try client.pushBlob(blob, name, mountingFrom: source?.repository, supply: supply) { meter.report($0) }
            }
            let said =
                switch outcome {
                case .wasThere: "Layer already exists"
                case .mounted: "Mounted from \(source?.repository ?? "")"
                case .sent: "Pushed"
                }
            sink(TransferMessage(said, id: blob.digest.short))
        }
        let type = document.mediaType ?? MediaTypes.image
        let digest = try await onRegistry { () throws(RegistryError) in
            try client.pushManifest(manifest, mediaType: type, name, tag: reference.tag)
        }
        let tag = reference.tag ?? "manifest"
        sink(TransferMessage("\(tag): digest: \(digest) size: \(manifest.count)"))
        sink(TransferMessage(pushed: .init(Tag: tag, Digest: digest.description, Size: manifest.count)))
        await announceTransfer("push", reference)
    }
}

/// A blob of the store, read as it is sent.
private struct StoredBlob: BlobSupply {
    let file: SharedDescriptor
    let byteCount: Int64

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(RegistryError) -> Int {
        do throws(SystemError) {
            return try check("pread") { pread(file.raw, buffer.baseAddress, buffer.count, off_t(offset)) }
        } catch {
            throw .system(error)
        }
    }
}
