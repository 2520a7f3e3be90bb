import ArgumentParser
import CLinux
import EngineWire
import Glibc
import LinuxSystem
import StackFile
import StackModel

/// Options of `build`, as those of `docker build` and `docker compose build`.
struct BuildFlags: ParsableArguments {
    private static let entitlements = ["network.host", "security.insecure"]

    @Option(
        name: .customLong("build-arg"), help: "Build argument, NAME=VALUE or NAME from the environment; repeatable.")
    var arguments: [String] = []

    @Flag(help: "Do not use what earlier builds made.")
    var noCache = false

    @Option(help: "Stage whose steps are carried out anew; repeatable.")
    var noCacheFilter: [String] = []

    @Flag(help: "Look for newer base images.")
    var pull = false

    @Flag(help: "Send the images to their registries.")
    var push = false

    @Option(name: .customLong("platform"), help: "OS/ARCHITECTURE to build for: this machine's.")
    var platforms: [String] = []

    @Option(name: .customLong("secret"), help: "Secret for RUN, id=NAME[,src=FILE|,env=VARIABLE]; repeatable.")
    var secrets: [String] = []

    @Option(help: "SSH agent for RUN, default or NAME=SOCKET; repeatable.")
    var ssh: [String] = []

    @Option(name: .customLong("add-host"), help: "Line for /etc/hosts of RUN, NAME=ADDRESS; repeatable.")
    var hosts: [String] = []

    @Option(help: "Network of RUN: default, none, host or a name.")
    var network: String?

    @Option(help: "Size of /dev/shm for RUN, such as 64m.")
    var shmSize: String?

    @Option(name: .customLong("ulimit"), help: "Limit for RUN, TYPE=SOFT[:HARD]; repeatable.")
    var ulimits: [String] = []

    @Option(
        name: .customLong("build-context"), help: "Further context, NAME=PATH or NAME=docker-image://IMAGE; repeatable."
    )
    var contexts: [String] = []

    @Option(
        help: "Where steps may come from: an image's name, type=registry,ref=NAME or type=local,src=FOLDER; repeatable."
    )
    var cacheFrom: [String] = []

    @Option(help: "Where steps are left for others: type=registry,ref=NAME or type=local,dest=FOLDER; repeatable.")
    var cacheTo: [String] = []

    @Option(name: .customLong("allow"), help: "What RUN may ask for: network.host, security.insecure; repeatable.")
    var allow: [String] = []

    @Flag(help: "Only check the Dockerfile.")
    var check = false

    @Flag(help: "Only show what would be built, as JSON.")
    var print = false

    @Flag(name: [.short, .long], help: "Say only the ids of images.")
    var quiet = false

    /// Puts what the command line says over what a request has.
    func apply(to request: inout BuildRequest, _ session: Session) throws {
        for text in arguments {
            let (name, value) = halves(text)
            if let value = value ?? session.environment[name] { request.arguments[name] = value }
        }
        // As docker's: who sets it for the command sets it for the build.
        if request.arguments["SOURCE_DATE_EPOCH"] == nil, let epoch = session.environment["SOURCE_DATE_EPOCH"],
            !epoch.isEmpty
        {
            request.arguments["SOURCE_DATE_EPOCH"] = epoch
        }
        request.noCache = request.noCache || noCache
        request.noCacheFilter += noCacheFilter
        request.pull = request.pull || pull
        if !platforms.isEmpty { request.platforms = platforms }
        for text in secrets { request.secrets.append(try secret(text, session)) }
        for text in ssh {
            let (id, path) = try agent(text, session)
            request.agents[id] = path
        }
        request.extraHosts += try hosts.map(host)
        request.network = network ?? request.network
        if let shmSize {
            guard let bytes = parseBytes(shmSize) else {
                throw CommandFailure.usage("'\(shmSize)' is no size", hint: "write a number and a unit, such as 64m")
            }
            request.shmSize = bytes
        }
        for text in ulimits {
            let (name, limit) = try ulimit(text)
            request.ulimits[name] = limit
        }
        for text in contexts {
            let (name, value) = halves(text)
            guard let value, !name.isEmpty else {
                throw CommandFailure.usage("'\(text)' is no context", hint: "write NAME=PATH")
            }
            request.contexts[name] = contextText(value, from: session.workingDirectory)
        }
        for name in allow where !Self.entitlements.contains(name) {
            throw CommandFailure.usage(
                "unknown entitlement '\(name)'", hint: "use \(Self.entitlements.joined(separator: " or "))")
        }
        request.allow += allow
        request.cacheFrom = (request.cacheFrom + cacheFrom).map { cachePlace($0, "src", session.workingDirectory) }
        request.cacheTo = (request.cacheTo + cacheTo).map { cachePlace($0, "dest", session.workingDirectory) }
    }

    private func secret(_ text: String, _ session: Session) throws -> BuildRequest.Secret {
        var fields: [String: String] = [:]
        for part in text.split(separator: ",") {
            let (name, value) = halves(String(part))
            guard let value else {
                throw CommandFailure.usage("'\(text)' is no secret", hint: "write id=NAME,src=FILE")
            }
            fields[name] = value
        }
        guard let id = fields["id"], !id.isEmpty else {
            throw CommandFailure.usage("secret '\(text)' has no id", hint: "write id=NAME,src=FILE")
        }
        let isVariable = fields["type"] == "env" || fields["env"] != nil
        if let path = fields["src"] ?? fields["source"], !isVariable { return try secretFile(id, path, session) }
        let variable = fields["env"] ?? fields["src"] ?? fields["source"] ?? id
        if let value = session.environment[variable] { return BuildRequest.Secret(id: id, bytes: Array(value.utf8)) }
        guard !isVariable else {
            throw CommandFailure.usage("secret '\(id)': the environment has no \(variable)")
        }
        return try secretFile(id, id, session)
    }

    private func secretFile(_ id: String, _ path: String, _ session: Session) throws -> BuildRequest.Secret {
        let byteCountMax = 500 << 10
        do throws(SystemError) {
            let path = absolutePath(path, from: session.workingDirectory)
            return BuildRequest.Secret(id: id, bytes: try FileSystem.readFile(path, byteCountMax: byteCountMax))
        } catch {
            throw CommandFailure(code: "build.secret", "secret '\(id)' cannot be read: \(error)")
        }
    }

    private func host(_ text: String) throws -> ExtraHost {
        guard let cut = text.firstIndex(where: { $0 == "=" || $0 == ":" }), cut != text.startIndex else {
            throw CommandFailure.usage("'\(text)' is no host", hint: "write NAME=ADDRESS")
        }
        return ExtraHost(name: String(text[..<cut]), address: String(text[text.index(after: cut)...]))
    }

    private func ulimit(_ text: String) throws -> (String, Ulimit) {
        let (name, value) = halves(text)
        let numbers = (value ?? "").split(separator: ":").map { Int64($0) }
        guard let first = numbers.first, let soft = first, numbers.count <= 2 else {
            throw CommandFailure.usage(
                "'\(text)' is no limit", hint: "write TYPE=SOFT[:HARD], such as nofile=1024:2048")
        }
        guard numbers.count == 2 else { return (name, Ulimit(soft: soft, hard: soft)) }
        guard let hard = numbers[1] else { throw CommandFailure.usage("'\(text)' is no limit") }
        return (name, Ulimit(soft: soft, hard: hard))
    }
}

/// `NAME=VALUE`; the value is nil without `=`.
func halves(_ text: String) -> (String, String?) {
    guard let equals = text.firstIndex(of: "=") else { return (text, nil) }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
}

/// `path` seen from a folder, without `.` and `..`.
func absolutePath(_ path: String, from folder: String) -> String {
    let whole = path.hasPrefix("/") ? path : folder + "/" + path
    var parts: [Substring] = []
    for part in whole.split(separator: "/") {
        if part == ".." { _ = parts.popLast() } else if part != "." { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
}

/// A place of a cache with its folder made absolute.
func cachePlace(_ text: String, _ key: String, _ folder: String) -> String {
    guard text.contains("type=local") else { return text }
    return text.split(separator: ",").map { part in
        let (name, value) = halves(String(part))
        guard name == key, let value else { return String(part) }
        return "\(name)=\(absolutePath(value, from: folder))"
    }.joined(separator: ",")
}

/// What a named context's value is for the engine: paths absolute, all else as it is.
func contextText(_ value: String, from folder: String) -> String {
    value.contains("://") || value.hasPrefix("service:") ? value : absolutePath(value, from: folder)
}

/// An agent's socket: `ID`, or `ID=PATH`.
func agent(_ text: String, _ session: Session) throws(CommandFailure) -> (String, String) {
    let (id, given) = halves(text)
    guard let path = given ?? session.environment["SSH_AUTH_SOCK"], !path.isEmpty else {
        throw .usage("ssh '\(id)': no agent is running", hint: "start one with ssh-agent, so that SSH_AUTH_SOCK is set")
    }
    let whole = absolutePath(path, from: session.workingDirectory)
    guard isSocket(whole) else {
        throw .usage(
            "ssh '\(id)': \(path) is not an agent's socket",
            hint: "add the key to an agent with `ssh-add \(path)`, and say --ssh \(id)")
    }
    return (id, whole)
}

private func isSocket(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
}
