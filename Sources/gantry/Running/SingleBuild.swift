import ArgumentParser
import EngineClient
import EngineWire
import Glibc
import Images
import LinuxSystem
import StackModel

/// Options of a build that is not of a stack.
struct SingleBuildFlags: ParsableArguments {
    @Option(name: [.customShort("t"), .customLong("tag")], help: "Name of the image, NAME[:TAG]; repeatable.")
    var tags: [String] = []

    @Option(help: "Stage to build instead of the last.")
    var target: String?

    @Option(name: .customLong("label"), help: "Label of the image, NAME=VALUE; repeatable.")
    var labels: [String] = []

    @Option(name: .customLong("iidfile"), help: "File to write the image's id to.")
    var idFile: String?

    @Option(help: "File to write the image's id and names to, as JSON.")
    var metadataFile: String?

    /// The first of these options that was given.
    var givenOption: String? {
        let given: [(String, Bool)] = [
            ("--tag", !tags.isEmpty), ("--target", target != nil), ("--label", !labels.isEmpty),
            ("--iidfile", idFile != nil), ("--metadata-file", metadataFile != nil),
        ]
        return given.first(where: \.1)?.0
    }

    /// With services these are said in the stack file.
    func refuseForServices() throws(CommandFailure) {
        guard let option = givenOption else { return }
        throw .usage(
            "\(option) is for one image, and no context was given",
            hint: "name the folder: gantry build \(option) … . ; services say it in the stack file")
    }
}

/// `docker build PATH | URL | -`.
struct SingleBuild {
    private static let dockerfileByteCountMax = 4 << 20

    let session: Session
    let flags: BuildFlags
    let image: SingleBuildFlags
    let dockerfile: String?

    func run(_ context: String) throws {
        if flags.push, image.tags.isEmpty {
            throw CommandFailure.usage(
                "tag is needed when pushing to registry", hint: "give the image a name with --tag")
        }
        guard context == "-" else { return try build(try request(context)) }
        guard dockerfile != "-" else {
            throw CommandFailure.usage("can't use stdin for both build context and dockerfile")
        }
        try TemporaryContext.withStandardInput { source throws in
            switch source {
            case .dockerfile(let bytes):
                guard dockerfile == nil else {
                    throw CommandFailure.usage(
                        "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")
                }
                var request = BuildRequest(context: .none)
                request.dockerfileText = String(decoding: bytes, as: UTF8.self)
                try build(request)
            case .folder(let path):
                var request = BuildRequest(context: .folder(path))
                request.dockerfile = dockerfile
                request.isTemporary = true
                try build(request)
            }
        }
    }

    private func request(_ context: String) throws -> BuildRequest {
        var request = BuildRequest(context: contextSource(context))
        var folder: String?
        if case .folder = request.context {
            request.context = .folder(absolutePath(context, from: session.workingDirectory))
            folder = session.workingDirectory
        }
        if dockerfile == "-" {
            let bytes = try readAll(STDIN_FILENO, byteCountMax: Self.dockerfileByteCountMax)
            request.dockerfileText = String(decoding: bytes, as: UTF8.self)
        } else {
            // Of what is elsewhere, it is a path there.
            request.dockerfile = dockerfile.map { path in folder.map { absolutePath(path, from: $0) } ?? path }
        }
        return request
    }

    private func build(_ request: BuildRequest) throws {
        var request = request
        request.target = image.target
        request.tags = image.tags
        for text in image.labels {
            let (name, value) = halves(text)
            request.labels[name] = value ?? ""
        }
        try flags.apply(to: &request, session)
        if flags.print || flags.check { return try perform([request], flags, session) }
        let built = try session.build(BuildBatch(builds: [request]), mode: flags.quiet ? .quiet : nil).images
        guard let made = built.first else { return }
        if flags.quiet { try session.output.write(made.id + "\n") }
        if let path = image.idFile { try write(made.id, to: path) }
        if let path = image.metadataFile { try write(metadata(made), to: path) }
        if flags.push {
            for tag in made.tags { try push(tag, session) }
        }
    }

    private func write(_ text: String, to path: String) throws {
        let whole = absolutePath(path, from: session.workingDirectory)
        try FileSystem.writeOutput(whole, with: Array(text.utf8))
    }

    private func metadata(_ image: BuiltImage) -> String {
        JSONText.object([
            ("containerimage.config.digest", .string(image.id)), ("containerimage.digest", .string(image.id)),
            ("image.name", .string(image.tags.joined(separator: ","))),
        ]).indented + "\n"
    }
}

/// Sends an image to its registry and shows how it goes on.
func push(_ tag: String, _ session: Session) throws {
    let reference = try ImageReference(parsing: tag)
    let printer = TransferPrinter(mode: session.progressMode, console: session.errors)
    try session.engine().pushImage(
        reference.canonical, registryAuth: registryAuth(reference, session.environment)
    ) { try printer.show($0) }
    guard printer.failures.isEmpty else { throw CommandFailure(printer.failures) }
}
