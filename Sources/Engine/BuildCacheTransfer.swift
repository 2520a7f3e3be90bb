import CLinux
import EngineWire
import Glibc
import ImageBuild
import Images
import LinuxSystem
import Registry
import StackModel

/// `cache_from` and `cache_to`: steps of builds from and to registries and folders.
struct BuildCacheTransfer: Sendable {
    /// What a text such as `type=local,src=/cache` names.
    enum Place: Equatable {
        case registry(String)
        case folder(String)
        /// Of a kind that is another builder's.
        case unknown(String)

        init(_ text: String, folderKey: String) {
            guard text.contains("=") else {
                self = .registry(text)
                return
            }
            var fields: [String: String] = [:]
            for part in text.split(separator: ",") {
                let halves = part.split(separator: "=", maxSplits: 1).map(String.init)
                if halves.count == 2 { fields[halves[0]] = halves[1] }
            }
            switch (fields["type"], fields["ref"], fields[folderKey]) {
            case ("registry", .some(let name), _): self = .registry(name)
            case ("local", _, .some(let path)): self = .folder(path)
            default: self = .unknown(text)
            }
        }
    }

    let engine: Engine
    let warn: @Sendable (Diagnostic) -> Void

    private static func file(_ folder: String) -> String { "\(folder)/gantry-cache.tar" }

    struct Brought {
        var texts: [String]
        var records: [Digest: BuildRecord] = [:]
        /// That brought steps, by their places' texts.
        var images: [String: Digest] = [:]
    }

    /// The steps of all places; a place that cannot be read costs time only, so it is a warning.
    ///
    /// - Parameter lease: holds what they bring.
    func bring(_ texts: [String], _ lease: BuildLease) async -> Brought {
        var brought = Brought(texts: Array(Set(texts)))
        for text in brought.texts { await engine.beginUsing(cacheSource: text) }
        for text in texts {
            do throws(EngineError) {
                guard let image = try await image(from: Place(text, folderKey: "src"), text) else { continue }
                lease.hold(image)
                guard let found = CacheImage.records(of: image) else { continue }
                brought.images[text] = image.id
                brought.records.merge(found) { first, _ in first }
            } catch {
                if Task.isCancelled { break }
                let why = error.diagnostics.map(\.message).joined(separator: "; ")
                warn(Diagnostic(.warning, code: "build.cache", "cache_from '\(text)' is not used: \(why)"))
            }
        }
        return brought
    }

    private func image(from place: Place, _ text: String) async throws(EngineError) -> Image? {
        switch place {
        case .registry(let name):
            let reference: ImageReference
            do throws(ImageError) { reference = try ImageReference(parsing: name) } catch { throw .image(error) }
            // None: nobody loses the name.
            let former = try? engine.images.image(reference.canonical)
            let image = try await engine.pullUntilCancelled(PullRequest(reference)) { _ in }
            if let former, former.id != image.id, CacheImage.records(of: image) != nil {
                try await engine.onImages { images throws(ImageError) in try images.tag(former.id, as: reference) }
            }
            return image
        case .folder(let folder):
            let path = Self.file(folder)
            // A first build has no cache yet.
            guard FileSystem.exists(path) else { return nil }
            return try await engine.onImages { images throws(ImageError) in
                let file: SharedDescriptor
                do throws(SystemError) {
                    file = SharedDescriptor(try FileDescriptor.open(path, O_RDONLY))
                } catch {
                    throw ImageError(error)
                }
                guard let loaded = try images.load(from: file.raw).first else { return nil }
                return try images.image(loaded.id.description)
            }
        case .unknown:
            warn(Self.unknown("cache_from", text))
            return nil
        }
    }

    private static func unknown(_ key: String, _ text: String) -> Diagnostic {
        Diagnostic(
            .warning, code: "build.cache", "\(key) '\(text)' is not used: it is of a kind that only BuildKit knows",
            hint: "use type=registry,ref=NAME or type=local")
    }

    /// Writes a build's steps to all places.
    func send(_ output: BuildOutput, to texts: [String]) async throws(EngineError) {
        for text in texts {
            switch Place(text, folderKey: "dest") {
            case .registry(let name): try await push(output, name)
            case .folder(let folder): try await write(output, folder)
            case .unknown: warn(Self.unknown("cache_to", text))
            }
        }
    }

    /// What fits an image, whose layers are counted although nobody mounts this one: steps that were made first, as
    /// those after them are found through them.
    static func fitting(_ records: [Digest: BuildRecord], layerCountMax: Int) -> [Digest: BuildRecord] {
        var layers: Set<Digest> = []
        var kept: [Digest: BuildRecord] = [:]
        for (key, record) in records.sorted(by: { ($0.value.created, $0.key) < ($1.value.created, $1.key) }) {
            if let layer = record.layer {
                guard layers.contains(layer.diffID) || layers.count < layerCountMax else { continue }
                layers.insert(layer.diffID)
            }
            kept[key] = record
        }
        return kept
    }

    private func fitting(_ output: BuildOutput) -> [Digest: BuildRecord] {
        let limit = engine.options.imageStoreOptions.limits.layerCountMax
        let kept = Self.fitting(output.records, layerCountMax: limit)
        let left = output.records.count - kept.count
        if left > 0 {
            warn(
                Diagnostic(
                    .warning, code: "build.cache",
                    "\(left) steps are left out of cache_to: an image has at most \(limit) layers"))
        }
        return kept
    }

    private func push(_ output: BuildOutput, _ name: String) async throws(EngineError) {
        let reference: ImageReference
        do throws(ImageError) { reference = try ImageReference(parsing: name) } catch { throw .image(error) }
        // Under a name of its own: that of the registry may be some image's here.
        let local = try passingName()
        let records = fitting(output)
        _ = try await engine.onImages { images throws(ImageError) in
            try CacheImage.make(records, in: images, reference: local)
        }
        var failure: String?
        for await message in engine.startPush(reference, from: local, credential: nil).messages {
            failure = message.error ?? failure
        }
        await forget(local)
        // The messages end then without one that says so.
        if Task.isCancelled { throw .cancelled }
        if let failure {
            throw .diagnostics([Diagnostic(code: "build.cache", "the build's cache cannot be pushed: \(failure)")])
        }
    }

    /// Of an image that is there for the way only.
    private func passingName() throws(EngineError) -> ImageReference {
        do throws(ImageError) {
            return try ImageReference(parsing: "gantry-build-cache:\(randomID().prefix(12))")
        } catch {
            throw .image(error)
        }
    }

    private static func makeFile(_ path: String, in folder: String) throws(ImageError) -> SharedDescriptor {
        do throws(SystemError) {
            try FileSystem.makeDirectories(folder, mode: 0o755)
            return SharedDescriptor(
                try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644))
        } catch {
            throw ImageError(error)
        }
    }

    private func write(_ output: BuildOutput, _ folder: String) async throws(EngineError) {
        let reference = try passingName()
        let records = fitting(output)
        let path = Self.file(folder)
        let result: Result<Void, EngineError>
        do throws(EngineError) {
            try await engine.onImages { images throws(ImageError) in
                let image = try CacheImage.make(records, in: images, reference: reference)
                // As a whole: somebody may be reading the one before, or writing another.
                let fresh = "\(path).\(randomID().prefix(12))"
                do throws(ImageError) {
                    let file = try Self.makeFile(fresh, in: folder)
                    try images.export([(image, [])], as: .oci, to: file.raw)
                    guard rename(fresh, path) == 0 else {
                        throw ImageError(SystemError("rename", path: path, code: errno))
                    }
                } catch {
                    unlink(fresh)
                    throw error
                }
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await forget(reference)
        try result.get()
    }

    /// Images that brought steps were for builds only, and go with the last that takes them from the same place.
    func discard(_ brought: Brought) async {
        for text in brought.texts {
            do throws(EngineError) {
                try await engine.endUsing(cacheSource: text, brought.images[text])
            } catch {
                warn(Diagnostic(.warning, code: "build.cache", "the image of cache_from '\(text)' stays"))
            }
        }
    }

    private func forget(_ reference: ImageReference) async {
        do throws(EngineError) {
            try await engine.onImages { images throws(ImageError) in
                let image = try images.image(reference.canonical)
                try images.untag(reference)
                if try images.image(image.id.description).references.isEmpty {
                    _ = try images.remove([image.id])
                }
            }
        } catch {
            warn(Diagnostic(.warning, code: "build.cache", "the build's cache stays as image \(reference.familiar)"))
        }
    }
}

extension Engine {
    fileprivate func beginUsing(cacheSource text: String) async {
        await cacheSourceLock.acquire()
        defer { cacheSourceLock.release() }
        cacheSourceUsers[text, default: 0] += 1
    }

    /// Nobody begins to use it while its image is removed.
    fileprivate func endUsing(cacheSource text: String, _ image: Digest?) async throws(EngineError) {
        await cacheSourceLock.acquire()
        defer { cacheSourceLock.release() }
        let left = (cacheSourceUsers[text] ?? 0) - 1
        cacheSourceUsers[text] = left > 0 ? left : nil
        guard left <= 0, let image else { return }
        try await onImages { images throws(ImageError) in _ = try images.remove([image]) }
    }
}
