import CLinux
import Dockerfile
import EngineWire
import Glibc
import ImageBuild
import Images
import LinuxSystem
import Registry
import StackModel
import Synchronization

/// Folders that are there for one build.
private final class SharedDrafts: Sendable {
    private let drafts = Mutex<[LayerDraft]>([])

    func withLock(_ body: (inout [LayerDraft]) -> Void) { drafts.withLock { body(&$0) } }
}

/// From what a client asks for to what the builder takes: opens the context, reads Dockerfile and ignore file.
struct BuildInputs {
    private static let ignoreByteCountMax = 4 << 20

    let options: EngineOptions
    let images: ImageStore
    let stop = Cancellation()
    /// What was fetched, for as long as the build lasts.
    private let fetched = SharedDrafts()

    init(_ engine: Engine) {
        options = engine.options
        images = engine.images
    }

    /// Where contexts' digests are kept between builds, so that unchanged files are not read again.
    private func index(_ folder: String, _ ignore: [UInt8]) -> DigestIndex {
        let name = Digest.sha256(of: Array(folder.utf8) + [0] + ignore).hex
        return DigestIndex(path: "\(options.buildContexts)/\(name)")
    }

    /// Blocks.
    func input(_ asked: BuildRequest) throws(BuildFailure) -> BuildInput {
        var request = asked
        let host = try platform(request)
        var root: SharedDescriptor?
        var folder = ""
        switch request.context {
        case .folder(let path): (root, folder) = (try open(path), path)
        case .url(let text):
            let fetched = try fetch(text, request)
            (root, folder) = (fetched.root, "/")
            if let bytes = fetched.dockerfile {
                request.dockerfileText = String(decoding: bytes, as: UTF8.self)
                root = nil
            }
        case .none: break
        case .sent: throw .failed("context", "the build context did not come with the request")
        }
        let (bytes, name) = try dockerfile(request, root, folder)
        let dockerfile: Dockerfile
        do throws(DockerfileError) {
            dockerfile = try Dockerfile(parsing: bytes, name: name)
        } catch {
            throw .diagnostics(error.diagnostics)
        }
        var build = BuildOptions(platform: host)
        build.target = request.target
        build.arguments = request.arguments
        build.contexts = Set(request.contexts.keys)
        var context: BuildContext?
        if let root {
            let ignored = request.isFiltered == true ? nil : try ignoreBytes(root, folder, dockerfile: name)
            do throws(DockerfileError) {
                build.ignore = try ignored.map { bytes throws(DockerfileError) in try IgnorePatterns(parsing: bytes) }
            } catch {
                throw .diagnostics(error.diagnostics)
            }
            let source = CopySource(root: root, ignore: build.ignore, name: "the build context", keepsOwners: false)
            let index = isKept(request) ? index(folder, ignored ?? []) : nil
            context = BuildContext(source: source, index: index)
        }
        var input = BuildInput(dockerfile: dockerfile, options: build)
        input.context = context
        try fill(&input, request)
        return input
    }

    private func platform(_ request: BuildRequest) throws(BuildFailure) -> Platform {
        let host = Platform(architecture: Self.hostArchitecture)
        for text in request.platforms {
            guard let wanted = Platform(parsing: text, host: host) else {
                throw .failed("platform", "'\(text)' is no platform", hint: "write it as linux/amd64")
            }
            guard wanted == host else {
                throw .failed(
                    "platform", "images for \(wanted) cannot be built on this machine (\(host))",
                    hint: "there is no emulation: build on a machine of that kind")
            }
        }
        return host
    }

    private static var hostArchitecture: String {
        let platform = ImagePlatform.host
        return platform.architecture
    }

    private func fill(_ input: inout BuildInput, _ request: BuildRequest) throws(BuildFailure) {
        input.labels = request.labels
        input.ignoresCache = request.noCache
        input.uncachedStages = Set(request.noCacheFilter)
        input.pulls = request.pull
        input.secrets = secrets(request)
        input.agents = request.agents
        input.hosts = request.extraHosts.map { (name: $0.name, address: $0.address) }
        input.sharedMemoryByteCount = request.shmSize
        input.ulimits = request.ulimits
        input.allowsHostNetwork = request.allow.contains("network.host")
        input.allowsInsecure = request.allow.contains("security.insecure") || request.privileged
        switch request.network {
        case nil, "", "default", "bridge": input.network = .standard
        case "none": input.network = .none
        case "host": input.network = .host
        case .some(let name): input.network = .named(name)
        }
        for text in request.tags {
            do throws(ImageError) {
                input.references.append(try ImageReference(parsing: text))
            } catch {
                throw .image(error)
            }
        }
        if let text = request.arguments["SOURCE_DATE_EPOCH"] {
            guard let seconds = Int64(text), seconds >= 0 else {
                throw .failed("argument", "SOURCE_DATE_EPOCH '\(text)' is no number of seconds")
            }
            input.timestamp = seconds
        }
    }

    // MARK: - From elsewhere

    /// A context whose files are read again by the next build.
    private func isKept(_ request: BuildRequest) -> Bool {
        if case .folder = request.context { return !request.isTemporary }
        return false
    }

    /// A context that was fetched: a tree, or a Dockerfile alone.
    private struct Fetched {
        var root: SharedDescriptor
        var dockerfile: [UInt8]?
    }

    /// A repository's files, an archive's, or a single file, which is a Dockerfile then.
    private func fetch(_ address: String, _ request: BuildRequest) throws(BuildFailure) -> Fetched {
        let options = try gitOptions(request)
        let draft: LayerDraft
        do throws(ImageError) { draft = try images.makeDraft() } catch { throw .image(error) }
        fetched.withLock { $0.append(draft) }
        do throws(BuildError) {
            guard let reference = try GitReference(address, isContext: true) else {
                return try fetchFile(address, options.secrets, into: draft)
            }
            let git = try GitSource(reference, options: options)
            return Fetched(
                root: try git.checkOut(try git.resolve(stop: stop), into: draft.upper, stop: stop).root)
        } catch {
            throw BuildFailure(error)
        }
    }

    /// As ADD has them.
    private func gitOptions(_ request: BuildRequest) throws(BuildFailure) -> GitOptions {
        var build = BuildOptions(platform: try platform(request))
        build.arguments = request.arguments
        return GitOptions(secrets: secrets(request), agents: request.agents, proxies: build.proxyEnvironment)
    }

    private func secrets(_ request: BuildRequest) -> [String: [UInt8]] {
        Dictionary(request.secrets.map { ($0.id, $0.bytes) }, uniquingKeysWith: { _, last in last })
    }

    private func fetchFile(
        _ address: String, _ secrets: RemoteSecrets, into draft: LayerDraft
    ) throws(BuildError) -> Fetched {
        let source = try HTTPSource(address, checksum: nil, cache: "\(options.imageRoot)/builds/downloads")
        let file = try source.fetch(with: FileDownload(), secrets: secrets, stop: stop).source
        let root: SharedDescriptor
        let head: [UInt8]
        do throws(SystemError) {
            root = SharedDescriptor(try FileDescriptor.open(draft.upper, O_PATH | O_DIRECTORY))
            let opened = try file.root.duplicate().openInRoot(source.fileName, O_RDONLY)
            head = try opened.read(upTo: Dockerfile.bytesMax)
        } catch {
            throw BuildError(error)
        }
        guard ArchiveMark.isArchive(head) else { return Fetched(root: root, dockerfile: head) }
        var job = CopyJob(files: [source.fileName], destination: "/")
        (job.isLiteral, job.unpacksArchives) = (true, true)
        try CopySelection(job, from: file).copy(into: root, stop: stop)
        return Fetched(root: root)
    }

    // MARK: - Files

    func open(_ path: String) throws(BuildFailure) -> SharedDescriptor {
        do throws(SystemError) {
            return SharedDescriptor(try FileDescriptor.open(path, O_PATH | O_DIRECTORY))
        } catch {
            let why = error.code == ENOENT ? "does not exist" : error.code == ENOTDIR ? "is not a folder" : "\(error)"
            throw .failed("context", "the build context \(path) \(why)")
        }
    }

    func namedFolder(_ path: String, name: String) throws(BuildFailure) -> NamedContext {
        let root = try open(path)
        let ignored = try read(".dockerignore", in: root) ?? []
        let ignore: IgnorePatterns
        do throws(DockerfileError) {
            ignore = try IgnorePatterns(parsing: ignored, name: "\(path)/.dockerignore")
        } catch {
            throw .diagnostics(error.diagnostics)
        }
        let source = CopySource(root: root, ignore: ignore, name: "context \"\(name)\"", keepsOwners: false)
        return .folder(BuildContext(source: source, index: index(path, ignored)))
    }

    /// The Dockerfile's bytes and its name for messages. Inside of the context no link leads out of it; a path outside
    /// of the context is the user's own choice.
    private func dockerfile(
        _ request: BuildRequest, _ root: SharedDescriptor?, _ folder: String
    ) throws(BuildFailure) -> ([UInt8], String) {
        if let text = request.dockerfileText { return (Array(text.utf8), request.dockerfile ?? "Dockerfile") }
        let path = request.dockerfile ?? "Dockerfile"
        let whole = path.hasPrefix("/") ? CopyPath.absolute(path) : CopyPath.absolute("\(folder)/\(path)")
        if let root, let inside = Self.path(whole, below: folder) {
            if let bytes = try read(inside, in: root) { return (bytes, whole) }
            // As Docker has it.
            if request.dockerfile == nil, let bytes = try read("dockerfile", in: root) {
                return (bytes, CopyPath.absolute("\(folder)/dockerfile"))
            }
            throw missing(whole)
        }
        do throws(SystemError) {
            return (try FileSystem.readFile(whole, byteCountMax: Dockerfile.bytesMax), whole)
        } catch {
            guard error.code == ENOENT else { throw .system(error) }
            throw missing(whole)
        }
    }

    private func missing(_ path: String) -> BuildFailure {
        .failed(
            "no-dockerfile", "failed to read dockerfile: open \(path): no such file or directory",
            hint: "name another with -f, or `dockerfile:` in the stack file")
    }

    private static func path(_ path: String, below folder: String) -> String? {
        let folder = CopyPath.absolute(folder)
        let prefix = folder == "/" ? "/" : folder + "/"
        return path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : nil
    }

    /// `DOCKERFILE.dockerignore` beside the Dockerfile, else the context's `.dockerignore`.
    private func ignoreBytes(
        _ root: SharedDescriptor, _ folder: String, dockerfile: String
    ) throws(BuildFailure) -> [UInt8]? {
        if let inside = Self.path(dockerfile, below: folder), let own = try read("\(inside).dockerignore", in: root) {
            return own
        }
        return try read(".dockerignore", in: root)
    }

    /// A small file below the root, links confined to it; nil when there is none.
    private func read(_ path: String, in root: SharedDescriptor) throws(BuildFailure) -> [UInt8]? {
        do throws(CopyError) {
            let tree = TreeRoot(root)
            let absolute = CopyPath.absolute(path)
            do throws(CopyError) {
                _ = try tree.status(absolute)
            } catch {
                if case .notFound = error { return nil }
                throw error
            }
            return try tree.content(absolute, byteCountMax: Self.ignoreByteCountMax)
        } catch {
            throw .failed("context", "\(path) of the build context cannot be read: \(error)")
        }
    }
}
