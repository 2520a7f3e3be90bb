import ContainerRuntime
import EngineWire
import Images
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// What `POST /commit` asks for.
public struct CommitOptions: Sendable {
    public var reference: ImageReference?
    public var author: String?
    public var comment: String?
    /// The processes stand still meanwhile.
    public var pause = true
    public var changes: [ConfigInstruction] = []
    /// What it says replaces what the container runs with.
    public var config: ContainerDefaults?

    public init() {}
}

extension Engine {
    /// Makes an image of a container's image and what the container has changed; the answer is its id.
    public func commit(_ reference: String, _ commit: CommitOptions) async throws(EngineError) -> String {
        let stored = try container(reference).stored
        // A stopped one is not started meanwhile: half of a change would be in the image.
        let files = try await holdFiles(of: stored.id)
        defer { files.release() }
        let base = try image(stored.definition.imageID)
        let making = try making(stored, base, commit)
        let upper = try upperDirectory(of: stored)
        let folders = folders(of: stored)
        try await onPool { () throws(SystemError) in try folders.make() }
        let isPaused = try await pauseForCommit(stored, commit)
        let made: Image
        do throws(EngineError) {
            made = try await onImages { images throws(ImageError) in
                try images.commit(upper, on: base, references: commit.reference.map { [$0] } ?? [], making)
            }
        } catch {
            if isPaused { await resumeAfterCommit(stored) }
            throw error
        }
        if isPaused { await resumeAfterCommit(stored) }
        announce(stored, "commit", ["imageID": made.id.description])
        return made.id.description
    }

    /// Whether it was paused by this.
    private func pauseForCommit(_ stored: StoredContainer, _ commit: CommitOptions) async throws(EngineError) -> Bool {
        guard commit.pause, containers[stored.id]?.process != nil else { return false }
        let folder = options.containerRun(stored.id)
        func ask(
            _ body: @escaping @Sendable (Runtime) throws(RuntimeError) -> Bool
        ) async throws(EngineError) -> Bool {
            try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
                do throws(RuntimeError) {
                    return try body(runtime)
                } catch {
                    // It has ended by itself: there is nothing to pause.
                    if case .notRunning = error { return false }
                    throw error
                }
            }
        }
        let isRunning = try await ask { runtime throws(RuntimeError) in try !runtime.isPaused(directory: folder) }
        guard isRunning else { return false }
        // Before it stands still: were this engine killed now, the next one would let it go on.
        notePausedForCommit(stored.id, true)
        do throws(EngineError) {
            let isPaused = try await ask { runtime throws(RuntimeError) in
                try runtime.pause(directory: folder)
                return true
            }
            if !isPaused { notePausedForCommit(stored.id, nil) }
            return isPaused
        } catch {
            notePausedForCommit(stored.id, nil)
            throw error
        }
    }

    private func notePausedForCommit(_ id: String, _ isPaused: Bool?) {
        containers[id]?.stored.isPausedForCommit = isPaused
        if let updated = containers[id]?.stored { saveOrLog(updated) }
    }

    /// Also after an engine that was killed while it made an image.
    func resumeAfterCommit(_ stored: StoredContainer) async {
        let folder = options.containerRun(stored.id)
        do throws(EngineError) {
            try await onRuntime(of: stored.name) { runtime throws(RuntimeError) in
                do throws(RuntimeError) {
                    try runtime.resume(directory: folder)
                } catch {
                    // Killed while it was paused.
                    if case .notRunning = error { return }
                    throw error
                }
            }
            notePausedForCommit(stored.id, nil)
        } catch {
            log.error("container stays paused", metadata: ["container": "\(stored.name)", "error": "\(error)"])
        }
    }

    private func making(
        _ stored: StoredContainer, _ base: Image, _ commit: CommitOptions
    ) throws(EngineError) -> ImageMaking {
        var config = committedDefaults(stored, image: base.config.config)
        if let given = commit.config { config.replace(with: given) }
        do throws(ImageError) {
            for change in commit.changes { try change.apply(to: &config) }
        } catch {
            throw .badRequest("\(error)")
        }
        let service = stored.definition.service
        return ImageMaking(
            created: rfc3339(Clock.now()), author: commit.author, comment: commit.comment,
            createdBy: processArguments(service, defaults: base.config.config).joined(separator: " "), config: config,
            container: stored.id, containerImage: service.image)
    }
}

/// What a container runs with, as an image says it: the service's words over the image's. Pure.
func committedDefaults(_ stored: StoredContainer, image: ContainerDefaults) -> ContainerDefaults {
    let service = stored.definition.service
    var config = image
    if let entrypoint = service.entrypoint { (config.entrypoint, config.cmd) = (entrypoint, service.command) }
    if let command = service.command { config.cmd = command }
    if let user = service.user { config.user = user }
    if let folder = service.workingDirectory { config.workingDir = folder }
    if let signal = service.stopSignal { config.stopSignal = signal }
    for (key, value) in service.environment.sorted(by: { $0.key < $1.key }) {
        config.env.removeAll { $0 == key || $0.hasPrefix(key + "=") }
        if let value { config.env.append("\(key)=\(value)") }
    }
    let ports = service.ports.map { "\($0.target)/\($0.transport.rawValue)" }
    let exposed = service.expose.map { $0.contains("/") ? $0 : $0 + "/tcp" }
    config.exposedPorts = Set(config.exposedPorts + ports + exposed).sorted()
    if let check = service.healthcheck {
        config.healthcheck = ContainerDefaults.Healthcheck(
            test: check.test ?? image.healthcheck?.test, interval: check.interval ?? image.healthcheck?.interval,
            timeout: check.timeout ?? image.healthcheck?.timeout, retries: check.retries ?? image.healthcheck?.retries,
            startPeriod: check.startPeriod ?? image.healthcheck?.startPeriod,
            startInterval: check.startInterval ?? image.healthcheck?.startInterval)
    }
    // What Compose writes on a container is about that container.
    config.labels = stored.labels.filter { !$0.key.hasPrefix("com.docker.compose.") }
    return config
}

extension ContainerDefaults {
    /// What `other` says; where it is silent all stays.
    mutating func replace(with other: ContainerDefaults) {
        if !other.user.isEmpty { user = other.user }
        if !other.workingDir.isEmpty { workingDir = other.workingDir }
        entrypoint = other.entrypoint ?? entrypoint
        cmd = other.cmd ?? cmd
        stopSignal = other.stopSignal ?? stopSignal
        healthcheck = other.healthcheck ?? healthcheck
        shell = other.shell ?? shell
        labels.merge(other.labels) { _, new in new }
        for line in other.env {
            let key = line.prefix { $0 != "=" }
            env.removeAll { $0.prefix { $0 != "=" } == key }
            env.append(line)
        }
        exposedPorts = Set(exposedPorts + other.exposedPorts).sorted()
        volumes = Set(volumes + other.volumes).sorted()
        onBuild += other.onBuild
    }
}
