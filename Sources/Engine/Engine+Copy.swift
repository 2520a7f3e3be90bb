import CLinux
import ContainerRuntime
import Glibc
import Images
import LinuxSystem
import Reconciler
import StackModel
import SupervisorPlan

/// `cp`, `diff` and `export`: files of containers, running or not.
///
/// A container's content is hostile. Its paths are looked up with its root as theirs, every object is opened once and
/// held, nothing of its is executed or loaded, and no thread that works on it has its root.
extension Engine {
    /// `HEAD /containers/{id}/archive`.
    public func pathStatus(_ reference: String, path: String) async throws(EngineError) -> PathStatus {
        let stored = try container(reference).stored
        let held = try await view(of: stored.id, for: .read)
        defer { held.release() }
        return try await onFiles(of: stored) { () throws(CopyError) in
            guard let root = held.root else { throw .notFound(path) }
            return try root.status(CopyPath.absolute(path))
        }
    }

    /// `GET /containers/{id}/archive`: a tar of what is at `path`, named as Docker names it.
    public func archive(
        _ reference: String, path: String
    ) async throws(EngineError) -> (status: PathStatus, archive: OutgoingArchive) {
        let stored = try container(reference).stored
        let held = try await view(of: stored.id, for: .read)
        do throws(EngineError) {
            let path = CopyPath.absolute(path)
            let (status, object) = try await onFiles(of: stored) { () throws(CopyError) in
                guard let root = held.root else { throw .notFound(path) }
                return (try root.status(path), SharedDescriptor(try root.object(path)))
            }
            announce(stored, "archive-path")
            let archive = try send(of: stored, held) { writer throws(CopyError) in
                let tree = TreeArchive(to: writer, leavesKernelOut: true)
                try tree.add(object, as: Array(status.name.utf8))
                try tree.finish()
            }
            return (status, archive)
        } catch {
            held.release()
            throw error
        }
    }

    /// `GET /containers/{id}/export`: the root without volumes and other mounts.
    public func export(_ reference: String) async throws(EngineError) -> OutgoingArchive {
        let stored = try container(reference).stored
        let held = try await view(of: stored.id, for: .export)
        announce(stored, "export")
        do throws(EngineError) {
            return try send(of: stored, held) { writer throws(CopyError) in
                guard let root = held.root else { throw .notFound("/") }
                let tree = TreeArchive(to: writer, attributes: .all, leavesKernelOut: true)
                try tree.add(root.descriptor, as: [])
                try tree.finish()
            }
        } catch {
            held.release()
            throw error
        }
    }

    /// Writes an archive on a thread of its own; the view is released when it is written.
    private func send(
        of stored: StoredContainer, _ held: HeldView,
        _ write: @escaping @Sendable (Int32) throws(CopyError) -> Void
    ) throws(EngineError) -> OutgoingArchive {
        try outgoingArchive { output throws(EngineError) in
            defer { held.release() }
            do throws(CopyError) { try write(output) } catch { throw .copy(error, container: stored.name) }
        }
    }

    // MARK: - In

    /// What `PUT /containers/{id}/archive` asks for.
    public struct Extraction: Sendable {
        /// A folder of the container's.
        public var path: String
        public var keepsKinds: Bool
        /// Everything belongs to the container's user.
        public var ownedByUser: Bool
        /// Whiteouts (character devices 0:0) remove what has their name.
        public var whiteoutsRemove = false

        public init(path: String, keepsKinds: Bool, ownedByUser: Bool) {
            self.path = path
            self.keepsKinds = keepsKinds
            self.ownedByUser = ownedByUser
        }
    }

    /// Extracts the tar that `next` delivers, plain or packed.
    public func extract(
        _ reference: String, _ extraction: Extraction, from next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws {
        let stored = try container(reference).stored
        let held = try await view(of: stored.id, for: .write)
        defer { held.release() }
        let path = CopyPath.absolute(extraction.path)
        let user = try self.user(of: stored)
        let isSingleID = options.rootless?.hasSingleID == true
        let made = try await onFiles(of: stored) { () throws(CopyError) in
            guard let root = held.root else { throw .notFound(path) }
            try root.checkFolder(path)
            var options = ExtractionOptions()
            options.keepsKinds = extraction.keepsKinds
            options.whiteoutsRemove = extraction.whiteoutsRemove
            if extraction.ownedByUser, let user { options.owner = try owner(user, in: root) }
            if isSingleID { options.owner = .own }
            return options
        }
        announce(stored, "extract-to-dir")
        let (reader, writer) = try archivePipe()
        guard let archive = writer.take().map({ IncomingArchive(writer: $0, pool: streams) }) else {
            throw EngineError.cancelled
        }
        incoming[stored.id] = archive
        defer { incoming[stored.id] = nil }
        async let feeding: Void = feed(archive, next)
        let result = await streams.run { () -> Result<Void, CopyError> in
            do throws(CopyError) {
                guard let reader = reader.take(), let root = held.root else { return .success(()) }
                try TreeExtraction(root: root.descriptor, folder: path, options: made).extract(from: reader.raw)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        // Before the client is waited for, which may hang: a start may be waiting for the files.
        held.release()
        // A client that went away says more than the cut archive it left.
        if case .failure(let error) = result {
            archive.end()
            try await feeding
            throw EngineError.copy(error, container: stored.name)
        }
        archive.end()
        try await feeding
    }

    private nonisolated func feed(
        _ archive: IncomingArchive, _ next: @Sendable () async throws -> [UInt8]?
    ) async throws {
        defer { archive.end() }
        while let piece = try await next() {
            guard await archive.write(piece) else { return }
        }
    }

    /// As the service, or else the image, says.
    private func user(of stored: StoredContainer) throws(EngineError) -> String? {
        if let user = stored.definition.service.user { return user.isEmpty ? nil : user }
        let user = try image(stored.definition.imageID).config.config.user
        return user.isEmpty ? nil : user
    }

    // MARK: - Changes

    /// `GET /containers/{id}/changes`.
    public func changes(_ reference: String) async throws(EngineError) -> [ContainerChange] {
        let stored = try container(reference).stored
        let upper = try upperDirectory(of: stored)
        let folders = folders(of: stored)
        try await onPool { () throws(SystemError) in try folders.make() }
        return try await onImages { _ throws(ImageError) in try upper.changes() }
    }

    func upperDirectory(of stored: StoredContainer) throws(EngineError) -> UpperDirectory {
        UpperDirectory(
            path: "\(options.containerData(stored.id))/upper",
            lowerDirectories: try image(stored.definition.imageID).lowerDirectories + [options.mountPoints],
            overlay: options.rootless == nil ? .trusted : .user)
    }

    private nonisolated func onFiles<Value: Sendable>(
        of stored: StoredContainer, _ body: @escaping @Sendable () throws(CopyError) -> Value
    ) async throws(EngineError) -> Value {
        do throws(CopyError) { return try await streams.run(body) } catch {
            throw .copy(error, container: stored.name)
        }
    }
}

/// A user of the container's own files, which it may have written itself: the answer is a number, no more.
private func owner(_ text: String, in root: TreeRoot) throws(CopyError) -> ExtractionOptions.Owner {
    let byteCountMax = 1 << 20
    let database = UserDatabase(
        passwd: try root.content("/etc/passwd", byteCountMax: byteCountMax),
        group: try root.content("/etc/group", byteCountMax: byteCountMax))
    do throws(UserDatabase.Failure) {
        let user = try database.resolve(text, extraGroups: [])
        return .fixed(user: user.uid, group: user.gid)
    } catch {
        throw .conflict("the container's user '\(text)' is unknown to its /etc/passwd")
    }
}
