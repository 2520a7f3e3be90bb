import CLinux
import Dockerfile
import EngineClient
import EngineWire
import Glibc
import Images
import LinuxSystem

/// Builds by an engine on another machine: their folders and Dockerfiles are read here, and go along with the request.
struct SentBuild {
    private var batch: BuildBatch
    /// Folders in the archive, by their names in it: 0, 1 and so on.
    private var folders: [Folder] = []

    private struct Folder {
        var path: String
        var ignore: IgnorePatterns
    }

    init(_ batch: BuildBatch) throws {
        self.batch = batch
        for index in batch.builds.indices { try take(index) }
    }

    func start(_ client: EngineClient) throws -> BuildStream {
        try client.build(batch) { send in
            try withoutActuallyEscaping(send) { send in
                let sending = ArchiveSending(send)
                let archive = TreeArchive(sink: { bytes throws(ImageError) in try sending.take(bytes) })
                do {
                    for (number, folder) in folders.enumerated() {
                        try ContextWalk(folder.path, folder.ignore, name: "\(number)").write(to: archive)
                    }
                    try archive.finish()
                } catch {
                    try sending.rethrow(error)
                }
            }
        }
    }

    private mutating func take(_ index: Int) throws {
        var request = batch.builds[index]
        try refuseOthers(request)
        if case .folder(let path) = request.context {
            _ = try openContext(path)
            let dockerfile = try readDockerfile(&request, path)
            let ignoreFiles = ["\(dockerfile).dockerignore", "\(path)/.dockerignore"]
            request.context = .sent(try add(path, ignoreFiles: ignoreFiles))
        }
        for (name, text) in request.contexts where text.hasPrefix("/") {
            request.contexts[name] = "sent:\(try add(text, ignoreFiles: ["\(text)/.dockerignore"]))"
        }
        batch.builds[index] = request
    }

    /// What cannot go along.
    private func refuseOthers(_ request: BuildRequest) throws(CommandFailure) {
        let hint = "run `gantry build` there, or build here and `gantry push`"
        if let (id, path) = request.agents.min(by: { $0.key < $1.key }) {
            throw .init(
                code: "build.other-machine",
                "ssh '\(id)': \(path) is on this machine, and the engine that is to build with it on another",
                hint: hint)
        }
        if let place = (request.cacheFrom + request.cacheTo).first(where: { $0.contains("type=local") }) {
            throw .init(
                code: "build.other-machine",
                "cache '\(place)' is on this machine, and the engine that is to build with it on another", hint: hint)
        }
    }

    /// The name in the archive. The first of the ignore files that is there counts.
    private mutating func add(_ path: String, ignoreFiles: [String]) throws -> String {
        var bytes: [UInt8] = []
        var name = ".dockerignore"
        if let file = ignoreFiles.first(where: { FileSystem.exists($0) }) {
            (bytes, name) = (try FileSystem.readFile(file), file)
        }
        do throws(DockerfileError) {
            folders.append(Folder(path: path, ignore: try IgnorePatterns(parsing: bytes, name: name)))
        } catch {
            throw CommandFailure(error.diagnostics)
        }
        return "\(folders.count - 1)"
    }

    /// Puts the Dockerfile's text into the request; answers its path.
    private func readDockerfile(_ request: inout BuildRequest, _ folder: String) throws -> String {
        let path = absolutePath(request.dockerfile ?? "Dockerfile", from: folder)
        guard request.dockerfileText == nil else { return path }
        let other = "\(folder)/dockerfile"
        // As Docker has it.
        let isOther = request.dockerfile == nil && !FileSystem.exists(path) && FileSystem.exists(other)
        let found = isOther ? other : path
        guard FileSystem.exists(found) else {
            throw CommandFailure(
                code: "build.no-dockerfile", "failed to read dockerfile: open \(path): no such file or directory",
                hint: "name another with -f, or `dockerfile:` in the stack file")
        }
        let bytes = try FileSystem.readFile(found, byteCountMax: Dockerfile.bytesMax)
        request.dockerfileText = String(decoding: bytes, as: UTF8.self)
        request.dockerfile = found
        return found
    }
}

private func openContext(_ path: String) throws(CommandFailure) -> FileDescriptor {
    do throws(SystemError) {
        return try FileDescriptor.open(path, O_PATH | O_DIRECTORY)
    } catch {
        let why = error.code == ENOENT ? "does not exist" : error.code == ENOTDIR ? "is not a folder" : "\(error)"
        throw CommandFailure(code: "build.context", "the build context \(path) \(why)")
    }
}

/// Goes through a context's folder; what the patterns name is left out.
private struct ContextWalk {
    /// Each level holds a descriptor.
    private static let depthMax = 512

    let path: String
    let ignore: IgnorePatterns
    let name: String

    init(_ path: String, _ ignore: IgnorePatterns, name: String) {
        (self.path, self.ignore, self.name) = (path, ignore, name)
    }

    func write(to archive: TreeArchive) throws {
        let root = try openContext(path)
        try archive.addAlone(try root.duplicate(), as: Array(name.utf8))
        try add(root.raw, below: [], IgnorePatterns.Walk(), depth: 0, to: archive)
    }

    private func add(
        _ folder: Int32, below place: [UInt8], _ parent: IgnorePatterns.Walk, depth: Int, to archive: TreeArchive
    ) throws {
        guard depth < Self.depthMax else {
            throw CommandFailure(
                code: "build.context",
                "\(path)/\(String(decoding: place, as: UTF8.self)) is more than \(Self.depthMax) folders deep")
        }
        for entry in try folderNames(folder, path: place) {
            let inside = place.isEmpty ? entry : place + [UInt8(ascii: "/")] + entry
            let text = String(decoding: inside, as: UTF8.self)
            let walk = ignore.follow(text, parent)
            if walk.isIgnored, ignore.canSkip(text, walk) { continue }
            let raw = CPath(entry).withPointer { gantry_openat(folder, $0, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0) }
            if raw < 0, errno == ENOENT { continue }  // Gone meanwhile.
            let object = FileDescriptor(owning: try check("openat") { raw })
            var status = stat()
            try check("fstat") { fstat(raw, &status) }
            let isFolder = status.st_mode & S_IFMT == S_IFDIR
            // A folder that is ignored stays where something in it may not be.
            if isFolder || !walk.isIgnored {
                try archive.addAlone(try object.duplicate(), as: Array("\(name)/".utf8) + inside)
            }
            if isFolder { try add(raw, below: inside, walk, depth: depth + 1, to: archive) }
        }
    }
}
