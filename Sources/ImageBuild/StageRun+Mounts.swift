import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem
import Synchronization

/// What is mounted for one RUN, until it has ended.
final class HeldMounts: Sendable {
    private struct State: Sendable {
        var caches: [CacheMounts.Held] = []
        var kept: [any Sendable] = []
    }

    private let caches: CacheMounts
    private let state = Mutex(State())

    init(_ caches: CacheMounts) { self.caches = caches }

    func keep(_ object: any Sendable) { state.withLock { $0.kept.append(object) } }

    func keep(_ cache: CacheMounts.Held) { state.withLock { $0.caches.append(cache) } }

    func release() {
        let held = state.withLock { state in
            defer { state = State() }
            return state.caches
        }
        for cache in held { caches.release(cache) }
    }
}

/// RUN --mount.
extension StageRun {
    /// A mount and where it takes its files from.
    struct PreparedMount: Sendable {
        var mount: Mount
        /// Absolute in the container.
        var target: String
        var source: Source?
        /// Of a bind mount from a context: what the key was taken of is what is copied.
        var found: FoundSelection?
    }

    struct FoundSelection: Sendable {
        var selection: CopySelection
        /// Keeps what the selection reads from.
        var opened: OpenedSource
    }

    func prepare(_ mounts: [Mount]) async throws(BuildFailure) -> [PreparedMount] {
        var prepared: [PreparedMount] = []
        for mount in mounts {
            let target = mount.target ?? ""
            switch mount.kind {
            case .bind:
                let source = try await source(of: mount, isNeeded: true)
                prepared.append(PreparedMount(mount: mount, target: target, source: source))
            case .cache:
                let source = try await source(of: mount, isNeeded: false)
                prepared.append(PreparedMount(mount: mount, target: target, source: source))
            case .tmpfs: prepared.append(PreparedMount(mount: mount, target: target))
            case .secret: if let secret = try secret(mount) { prepared.append(secret) }
            case .ssh: if let agent = try agent(mount, number: prepared.count) { prepared.append(agent) }
            }
        }
        return prepared
    }

    private func source(of mount: Mount, isNeeded: Bool) async throws(BuildFailure) -> Source? {
        guard let from = mount.from, !from.isEmpty else { return isNeeded ? try contextSource() : nil }
        guard let dependency = node.dependencies.first(where: { $0.isMount && $0.word.text == from }) else {
            throw BuildFailure.failed("source", "'\(from)' is no stage, image or context of this build")
        }
        return try await source(dependency.source)
    }

    private func secret(_ mount: Mount) throws(BuildFailure) -> PreparedMount? {
        let named = mount.target.map { CopyPath.base($0) }
        guard let id = mount.id ?? named, !id.isEmpty else {
            throw BuildFailure.failed("secret", "a secret needs an id or a target")
        }
        guard builder.input.secrets[id] != nil else {
            guard mount.isRequired else { return nil }
            throw BuildFailure.failed(
                "secret", "secret '\(id)' is required and was not given", hint: "give it: --secret id=\(id),src=FILE")
        }
        var mount = mount
        mount.id = id
        return PreparedMount(mount: mount, target: mount.target ?? "/run/secrets/\(id)")
    }

    private func agent(_ mount: Mount, number: Int) throws(BuildFailure) -> PreparedMount? {
        let id = mount.id ?? "default"
        guard builder.input.agents[id] != nil else {
            guard mount.isRequired else { return nil }
            throw BuildFailure.failed(
                "ssh", "SSH agent '\(id)' is required and was not given", hint: "give it: --ssh \(id)")
        }
        var mount = mount
        mount.id = id
        return PreparedMount(mount: mount, target: mount.target ?? "/run/buildkit/ssh_agent.\(number)")
    }

    // MARK: - The key

    /// What is read through a mount is part of what the step depends on; what caches and secrets hold is not.
    ///
    /// - Returns: what a bind mount shows of a context.
    func add(_ prepared: PreparedMount, to key: StepKey) async throws(BuildFailure) -> FoundSelection? {
        let mount = prepared.mount
        key.add("mount", mount.kind.rawValue)
        key.add("target", prepared.target)
        key.add("id", mount.id)
        key.add("variable", mount.variable)
        key.add("readonly", mount.isReadOnly)
        key.add("mode", mount.mode.map { "\($0)" })
        key.add("user", mount.user.map { "\($0)" })
        key.add("group", mount.group.map { "\($0)" })
        key.add("size", mount.sizeMax.map { "\($0)" })
        guard let source = prepared.source else { return nil }
        let (path, stop) = (mount.source ?? "/", builder.stop)
        key.add("source", path)
        if let sourceKey = source.key {
            key.add("tree", sourceKey.hex)
            return nil
        }
        let (digest, found) = try await builder.onPool { () throws(BuildFailure) in
            let opened = try source.open()
            return try copying { () throws(BuildError) in
                let selection = try CopySelection(Self.mountJob(path), from: opened.source)
                let digest = try selection.digest(opened.index, stop: stop)
                return (digest, FoundSelection(selection: selection, opened: opened))
            }
        }
        key.add("content", digest.hex)
        return found
    }

    private static func mountJob(_ path: String) -> CopyJob {
        let relative = CopyPath.absolute(path)
        var job = CopyJob(files: [relative == "/" ? "." : relative], destination: "/\(mountedName)")
        job.isLiteral = true
        return job
    }

    private static let mountedName = "mounted"

    // MARK: - Placing

    func place(
        _ mounts: [PreparedMount], in command: inout RunStep, _ held: HeldMounts
    ) async throws(BuildFailure) {
        var caches = try await cacheFolders(mounts.filter { $0.mount.kind == .cache }, held)[...]
        for mount in mounts {
            if mount.mount.kind == .cache, let path = caches.popFirst() {
                command.mounts.append(
                    RunStep.Mount(target: mount.target, kind: .bind(path, readOnly: mount.mount.isReadOnly)))
            } else {
                try await place(mount, in: &command, held)
            }
        }
    }

    private func place(
        _ prepared: PreparedMount, in command: inout RunStep, _ held: HeldMounts
    ) async throws(BuildFailure) {
        let mount = prepared.mount
        switch mount.kind {
        case .bind:
            guard let source = prepared.source else { return }
            let path = try await bindSource(source, prepared, held)
            command.mounts.append(
                RunStep.Mount(target: prepared.target, kind: .bind(path, readOnly: mount.isReadOnly)))
        case .cache: break
        case .tmpfs:
            command.mounts.append(RunStep.Mount(target: prepared.target, kind: .tmpfs(mount.sizeMax)))
        case .secret: placeSecret(prepared, in: &command)
        case .ssh:
            guard let path = builder.input.agents[mount.id ?? ""] else { return }
            command.mounts.append(RunStep.Mount(target: prepared.target, kind: .bind(path, readOnly: false)))
            if !command.environment.contains(where: { $0.hasPrefix("SSH_AUTH_SOCK=") }) {
                command.environment.append("SSH_AUTH_SOCK=\(prepared.target)")
            }
        }
    }

    private func placeSecret(_ prepared: PreparedMount, in command: inout RunStep) {
        let mount = prepared.mount
        guard let bytes = builder.input.secrets[mount.id ?? ""] else { return }
        if let variable = mount.variable, !variable.isEmpty {
            command.environment.append("\(variable)=\(String(decoding: bytes, as: UTF8.self))")
            if mount.target == nil { return }
        }
        command.files.append(
            RunStep.File(
                path: prepared.target, bytes: bytes, mode: mount.mode ?? 0o400, uid: mount.user ?? 0,
                gid: mount.group ?? 0))
    }

    /// The host's path of what a bind mount shows. A context's files are copied: what the step sees is what its key
    /// says, without what `.dockerignore` leaves out, and what it writes is gone afterwards.
    private func bindSource(
        _ source: Source, _ prepared: PreparedMount, _ held: HeldMounts
    ) async throws(BuildFailure) -> String {
        let (store, host, stop) = (builder.store, builder.host, builder.stop)
        let path = prepared.mount.source ?? "/"
        if let found = prepared.found {
            let draft = try await builder.onPool { () throws(BuildFailure) in
                let draft = try storing { () throws(ImageError) in try store.makeDraft() }
                let root = try calling { () throws(SystemError) in
                    SharedDescriptor(try FileDescriptor.open(draft.upper, O_PATH | O_DIRECTORY))
                }
                try copying { () throws(BuildError) in try found.selection.copy(into: root, stop: stop) }
                return draft
            }
            held.keep(draft)
            return "\(draft.upper)/\(Self.mountedName)"
        }
        let lower = source.lower
        let (tree, found) = try await builder.onPool { () throws(BuildFailure) in
            let draft = try storing { () throws(ImageError) in try store.makeDraft() }
            let tree = try host.mount(lower: lower, upper: draft.upper, work: draft.work)
            let found = try confinedPath(path, below: tree.path)
            return (HeldTree(tree: tree, draft: draft), found)
        }
        held.keep(tree)
        return found
    }

    /// Unmounted before its folder goes.
    private struct HeldTree: Sendable {
        var tree: MountedTree
        var draft: LayerDraft
    }

    private func cacheFolders(_ mounts: [PreparedMount], _ held: HeldMounts) async throws(BuildFailure) -> [String] {
        let requests = mounts.map { prepared in
            CacheMounts.Request(
                id: prepared.mount.id ?? prepared.target, sharing: prepared.mount.sharing ?? .shared,
                mode: prepared.mount.mode ?? 0o755, uid: prepared.mount.user ?? 0, gid: prepared.mount.group ?? 0)
        }
        let (builder, stop) = (builder, builder.stop)
        let taken = try await builder.caches.take(requests) { number, path throws(BuildFailure) in
            guard let source = mounts[number].source else { return }
            var job = Self.mountJob(mounts[number].mount.source ?? "/")
            job.destination = "/"
            let whole = job
            try await builder.onPool { () throws(BuildFailure) in
                let root = try calling { () throws(SystemError) in
                    SharedDescriptor(try FileDescriptor.open(path, O_PATH | O_DIRECTORY))
                }
                let opened = try source.open()
                try copying { () throws(BuildError) in
                    try CopySelection(whole, from: opened.source).copy(into: root, stop: stop)
                }
            }
        }
        for cache in taken.held { held.keep(cache) }
        return taken.paths
    }

    /// Empty files and folders to mount on, in a layer below all others: so that they are not left in the step's.
    func addMountPoints(_ command: inout RunStep, _ held: HeldMounts) async throws(BuildFailure) {
        var folders = command.mounts.filter { mount in
            guard case .bind(let path, _) = mount.kind else { return true }
            return isFolder(path)
        }.map(\.target)
        var files = command.mounts.map(\.target).filter { !folders.contains($0) } + command.files.map(\.path)
        guard !folders.isEmpty || !files.isEmpty else { return }
        folders = folders.map(CopyPath.absolute)
        files = files.map(CopyPath.absolute)
        let (store, made) = (builder.store, (folders: folders, files: files))
        let draft = try await builder.onPool { () throws(BuildFailure) in
            let draft = try storing { () throws(ImageError) in try store.makeDraft() }
            try calling { () throws(SystemError) in
                for folder in made.folders { try FileSystem.makeDirectories(draft.upper + folder, mode: 0o755) }
                for file in made.files where !FileSystem.exists(draft.upper + file) {
                    try FileSystem.makeDirectories(FileSystem.parent(of: draft.upper + file), mode: 0o755)
                    try FileSystem.replaceFile(draft.upper + file, with: [], mode: 0o644)
                }
            }
            return draft
        }
        held.keep(draft)
        command.lower.append(draft.upper)
    }

    private func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && gantry_is_directory(status.st_mode) != 0
    }
}

/// The host's path of what `path` means below a folder, links followed as if the folder were the root. Nobody else
/// changes what lies there.
private func confinedPath(_ path: String, below folder: String) throws(BuildFailure) -> String {
    do throws(SystemError) {
        let root = try FileDescriptor.open(folder, O_PATH | O_DIRECTORY)
        let found = try root.openInRoot(CopyPath.absolute(path), O_PATH)
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let capacity = bytes.count
        let raw = found.raw
        let count = try check("readlink") { readlink("/proc/self/fd/\(raw)", &bytes, capacity) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    } catch {
        guard error.code == ENOENT || error.code == ENOTDIR else { throw .system(error) }
        throw BuildFailure.failed("not-found", "\"\(path)\": not found in what is mounted")
    }
}
