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

        /// The same for the same place, however it was written.
        var key: String {
            switch self {
            // One that is none is told of when it is to be read.
            case .registry(let name): "registry \((try? ImageReference(parsing: name))?.canonical ?? name)"
            case .folder(let path): "folder \(path)"
            case .unknown(let text): text
            }
        }

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
        /// Keys of places that are used.
        var places: Set<String>
        var records: [Digest: BuildRecord] = [:]
    }

    /// The steps of all places; a place that cannot be read costs time only, so it is a warning.
    ///
    /// - Parameter lease: holds what they bring.
    func bring(_ texts: [String], _ lease: BuildLease) async -> Brought {
        let places = texts.map { (text: $0, place: Place($0, folderKey: "src")) }
        var brought = Brought(places: Set(places.map(\.place.key)))
        for key in brought.places { await engine.beginUsing(cacheSource: key) }
        for (text, place) in places {
            do throws(EngineError) {
                let before = Set(engine.images.imageIDs)
                guard let image = try await image(from: place, text) else { continue }
                lease.hold(image)
                await engine.note(image.id, of: place.key, isNew: !before.contains(image.id))
                guard let found = CacheImage.records(of: image) else { continue }
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
            var request = PullRequest(reference)
            // What has that name here keeps it.
            request.isNamed = false
            return try await engine.pullUntilCancelled(request) { _ in }
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

    /// Images that were brought are for builds only, and go with the last that takes them from the same place.
    func discard(_ brought: Brought) async {
        for key in brought.places.sorted() {
            do throws(EngineError) {
                try await engine.endUsing(cacheSource: key)
            } catch {
                warn(Diagnostic(.warning, code: "build.cache", "the image of cache_from '\(key)' stays"))
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
    /// A place in `cache_from`, as long as builds use it.
    struct CacheSource {
        var users = 0
        /// Images that are there because of it: a registry may have had another one for each build.
        var images: Set<Digest> = []
    }

    fileprivate func beginUsing(cacheSource key: String) async {
        await cacheSourceLock.acquire()
        defer { cacheSourceLock.release() }
        cacheSources[key, default: CacheSource()].users += 1
    }

    /// - Parameter isNew: it was not there before.
    fileprivate func note(_ image: Digest, of key: String, isNew: Bool) {
        guard isNew || cacheSources.values.contains(where: { $0.images.contains(image) }) else { return }
        cacheSources[key]?.images.insert(image)
    }

    /// Nobody begins to use it while its images are removed.
    fileprivate func endUsing(cacheSource key: String) async throws(EngineError) {
        await cacheSourceLock.acquire()
        defer { cacheSourceLock.release() }
        cacheSources[key]?.users -= 1
        guard let source = cacheSources[key], source.users <= 0 else { return }
        cacheSources[key] = nil
        let others = cacheSources.values.reduce(into: usedImages) { $0.formUnion($1.images) }
        let gone = source.images.subtracting(others)
        guard !gone.isEmpty else { return }
        try await onImages { images throws(ImageError) in
            // What somebody has given a name meanwhile is theirs. One that is gone already is passed over.
            _ = try images.remove(gone.filter { (try? images.image($0.description))?.references.isEmpty == true })
        }
    }
}
