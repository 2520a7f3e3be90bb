import CLinux
import ContainerRuntime
import EngineWire
import Glibc
import ImageBuild
import Images
import LinuxSystem
import Logging
import Registry
import StackModel
import Synchronization

/// What one build has of the engine: images, trees of layers, and containers for its RUN steps.
final class EngineBuildHost: BuildHost {
    private let engine: Engine
    private let options: EngineOptions
    private let credentials: [String: RegistryCredential]
    private let settings: StepSettings
    private let networks = Mutex<[StageNetwork: BuildNetwork]>([:])

    /// Steps of a stage come one after the other, and share a namespace.
    private struct StageNetwork: Hashable {
        var stage: Int
        var network: RunNetwork
    }

    /// `credentials`: for registries, by host; for others the engine's own files are looked at.
    init(
        _ engine: Engine, credentials: [String: RegistryCredential] = [:], settings: StepSettings = StepSettings()
    ) {
        self.engine = engine
        self.credentials = credentials
        self.settings = settings
        options = engine.options
    }

    func date(_ seconds: Int64?) -> String {
        guard let seconds else { return rfc3339(Clock.now()) }
        // Whole seconds, as everybody writes a SOURCE_DATE_EPOCH.
        return String(rfc3339Seconds(seconds).prefix(19)) + "Z"
    }

    // MARK: - Images

    func image(
        _ name: String, pulls: Bool, output: @escaping @Sendable ([UInt8]) -> Void
    ) async throws(BuildFailure) -> Image {
        let images = engine.images
        if !pulls {
            do throws(ImageError) { return try images.image(name) } catch {
                guard case .notFound = error else { throw .image(error) }
            }
        }
        let reference: ImageReference
        do throws(ImageError) { reference = try ImageReference(parsing: name) } catch { throw .image(error) }
        do throws(EngineError) {
            // Lines about bytes alone are for pictures that move.
            let sink: TransferSink = { message in
                guard message.progressDetail?.current == nil, let status = message.status else { return }
                output(Array(((message.id.map { $0 + ": " } ?? "") + status + "\n").utf8))
            }
            return try await engine.pullUntilCancelled(
                PullRequest(reference, credential: credentials[reference.registry]), sink)
        } catch {
            throw missing(name, error)
        }
    }

    /// Names near it first, then why it could not be had.
    private func missing(_ name: String, _ error: EngineError) -> BuildFailure {
        let why = error.diagnostics.map(\.message).joined(separator: "; ")
        do throws(ImageError) {
            return .failed("image", "image \(try engine.images.image(name).id) cannot be renewed: \(why)")
        } catch {
            return .failed("image", "\(error), and it cannot be pulled: \(why)")
        }
    }

    // MARK: - Trees

    func open(lower: [String], upper: String?, work: String?) throws(BuildFailure) -> OpenTree {
        do throws(SystemError) {
            let place = "\(options.execRoot)/view"
            try FileSystem.makeDirectories(place)
            let root = try layerMount(lower, upper: upper, work: work).open(place: place)
            return OpenTree(root: root)
        } catch {
            throw .system(error)
        }
    }

    func mount(lower: [String], upper: String, work: String) throws(BuildFailure) -> MountedTree {
        let place = "\(options.buildMounts)/\(randomID().prefix(16))"
        do throws(SystemError) {
            try FileSystem.makeDirectories(place)
            try layerMount(lower, upper: upper, work: work).mount(at: place)
        } catch {
            rmdir(place)
            throw .system(error)
        }
        return MountedTree(path: place) {
            umount2(place, Int32(MNT_DETACH))
            rmdir(place)
        }
    }

    private func layerMount(_ lower: [String], upper: String?, work: String?) throws(SystemError) -> LayerMount {
        var lower = lower
        // The kernel wants two layers, or one and somewhere to write.
        for name in ["a", "b"] where lower.count < (upper == nil ? 2 : 1) {
            let empty = "\(options.execRoot)/empty/\(name)"
            try FileSystem.makeDirectories(empty, mode: 0o755)
            lower.append(empty)
        }
        var layers = LayerMount(lower: lower, upper: nil, userExtended: options.rootless != nil)
        if let upper, let work { layers.upper = LayerMount.Upper(folder: upper, work: work) }
        return layers
    }

    // MARK: - RUN

    func run(
        _ step: RunStep, output: @escaping @Sendable ([UInt8], Bool) -> Void
    ) async throws(BuildFailure) {
        let exit: StoredContainer.Exit
        do throws(EngineError) {
            let network = try await network(for: step)
            exit = try await engine.carryOut(step, in: network, settings, output: output)
        } catch {
            throw BuildFailure(error, step)
        }
        if Task.isCancelled { throw .cancelled }
        guard exit.code == 0 else {
            throw .exited(
                RunFailure(arguments: step.arguments, exitCode: exit.code, isOutOfMemory: exit.outOfMemory))
        }
    }

    private func network(for step: RunStep) async throws(EngineError) -> BuildNetwork {
        let key = StageNetwork(stage: step.stage, network: step.network)
        if let known = networks.withLock({ $0[key] }) { return known }
        let made = try await engine.makeBuildNetwork(step.network)
        networks.withLock { $0[key] = made }
        return made
    }

    /// Called once the build has ended, however it did.
    func end() async {
        let all = networks.withLock { networks in
            defer { networks = [:] }
            return Array(networks.values)
        }
        for network in all { await engine.removeBuildNetwork(network) }
    }
}

extension BuildFailure {
    fileprivate init(_ error: EngineError, _ step: RunStep) {
        switch error {
        case .cancelled: self = .cancelled
        case .runtime(let failure, _):
            let code = Int(failure.conventionalExitCode ?? 0)
            guard code != 0 else {
                self = .diagnostics(error.diagnostics)
                return
            }
            let why = error.diagnostics.map(\.message).joined(separator: "; ")
            self = .failed(
                "run-failed", "process \"\(step.arguments.joined(separator: " "))\" could not be started: \(why)")
        default: self = .diagnostics(error.diagnostics)
        }
    }
}
