import ArgumentParser
import EngineClient
import EngineWire
import LinuxSystem
import StackFile
import StackModel

struct BuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Build the images of a stack, or one image from a folder.",
        usage: """
            gantry build [<global options>] [<options>] [<service> ...]
            gantry build [<global options>] [<options>] <path> | <url> | -
            """,
        discussion: """
            What has a slash, is a URL, ".", ".." or "-" (an archive or a Dockerfile on
            standard input) is a context to build, as with docker build; -f names its
            Dockerfile then. Everything else is a service of the stack file.
            """)

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup(visibility: .hidden) var file: FileOptions
    @OptionGroup var flags: BuildFlags
    @OptionGroup var image: SingleBuildFlags

    @Flag(help: "Build also what the services depend on.")
    var withDependencies = false

    @Argument(help: "Services to build, all when none is named; or one context.")
    var names: [String] = []

    /// A single name can be nobody's service: options of one image were given, or there is no stack.
    private func bareFolder(_ session: Session) -> String? {
        guard names.count == 1, image.givenOption != nil || !session.hasStackFile else { return nil }
        return names.first
    }

    func run() throws {
        let session = Session(global, file)
        if let context = names.first(where: isContext) ?? bareFolder(session) {
            guard names.count == 1 else {
                throw CommandFailure.usage(
                    "'\(context)' is a context, and only one can be built at a time",
                    hint: "name services, or one folder")
            }
            guard !withDependencies else {
                throw CommandFailure.usage(
                    "--with-dependencies is for services, and '\(context)' is a context", hint: "leave it out")
            }
            return try SingleBuild(session: session, flags: flags, image: image, dockerfile: file.files.last)
                .run(context)
        }
        try image.refuseForServices()
        let stack = try session.loadStack(services: names).stack
        var requests = try StackBuild(stack: stack, session: session)
            .requests(names, withDependencies: withDependencies)
        for index in requests.indices { try flags.apply(to: &requests[index], session) }
        guard !requests.isEmpty else {
            return try session.errors.write("no service has anything to build\n")
        }
        try perform(requests, flags, session)
    }
}

/// `docker build`.
struct ImageBuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Build an image from a Dockerfile.",
        usage: "gantry image build [<global options>] [<options>] <path> | <url> | -")

    @OptionGroup(visibility: .hidden) var global: GlobalOptions
    @OptionGroup var flags: BuildFlags
    @OptionGroup var image: SingleBuildFlags

    @Option(name: [.customShort("f"), .customLong("file")], help: "The Dockerfile; - is standard input.")
    var dockerfile: String?

    @Argument(help: "Folder, URL, or - for standard input.")
    var context: String

    func run() throws {
        try SingleBuild(session: Session(global), flags: flags, image: image, dockerfile: dockerfile).run(context)
    }
}

private func isContext(_ text: String) -> Bool {
    text == "." || text == ".." || text == "-" || text.contains("/") || text.contains("://") || text.hasPrefix("git@")
}

/// Checks, shows or builds, and says what came of it.
func perform(_ requests: [BuildRequest], _ flags: BuildFlags, _ session: Session) throws {
    if flags.print { return try session.output.write(buildPlanJSON(requests)) }
    if flags.check { return try check(requests, session) }
    let built = try session.build(BuildBatch(builds: requests), mode: flags.quiet ? .quiet : nil).images
    if flags.quiet {
        for image in built { try session.output.write(image.id + "\n") }
    } else {
        for image in built where !image.name.isEmpty {
            try session.errors.write(" Image \(image.tags.first ?? image.id)  Built\n")
        }
    }
    if flags.push {
        for image in built {
            for tag in image.tags { try push(tag, session) }
        }
    }
}

private func check(_ requests: [BuildRequest], _ session: Session) throws {
    let count = try session.build(BuildBatch(builds: requests, checks: true), mode: .plain).warningCount
    guard count > 0 else { return try session.output.write("Check complete, no warnings found.\n") }
    let text = count == 1 ? "1 warning has been found!" : "\(count) warnings have been found!"
    try session.output.write("Check complete, \(text)\n")
    throw CommandFailure([], exitCode: 1)
}

/// As `docker compose build --print`: a definition for buildx bake.
func buildPlanJSON(_ requests: [BuildRequest]) -> String {
    func name(_ request: BuildRequest) -> String { request.name.isEmpty ? "default" : request.name }
    func strings(_ values: [String: String]) -> JSONText {
        .object(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
    }
    let targets = requests.map { request -> (String, JSONText) in
        var members: [(String, JSONText)] = []
        switch request.context {
        case .folder(let path): members.append(("context", .string(path)))
        case .url(let text): members.append(("context", .string(text)))
        case .none, .sent: break
        }
        if let text = request.dockerfileText {
            members.append(("dockerfile-inline", .string(text)))
        } else {
            members.append(("dockerfile", .string(request.dockerfile ?? "Dockerfile")))
        }
        if !request.contexts.isEmpty { members.append(("contexts", strings(request.contexts))) }
        if !request.arguments.isEmpty { members.append(("args", strings(request.arguments))) }
        if !request.labels.isEmpty { members.append(("labels", strings(request.labels))) }
        if !request.tags.isEmpty { members.append(("tags", .array(request.tags.map { .string($0) }))) }
        if let target = request.target { members.append(("target", .string(target))) }
        if request.noCache { members.append(("no-cache", .bool(true))) }
        if request.pull { members.append(("pull", .bool(true))) }
        if !request.platforms.isEmpty { members.append(("platforms", .array(request.platforms.map { .string($0) }))) }
        // Their ids alone: what they hold is nobody's to see.
        let secrets = Set(request.secrets.map { "id=\($0.id)" }).sorted()
        if !secrets.isEmpty { members.append(("secret", .array(secrets.map { .string($0) }))) }
        return (name(request), .object(members))
    }
    let group = JSONText.object([
        ("default", .object([("targets", .array(requests.map { .string(name($0)) }))]))
    ])
    return JSONText.object([("group", group), ("target", .object(targets))]).indented + "\n"
}
