import ContainerNetwork
import ContainerRuntime
import EngineWire
import FileWatch
import Glibc
import LinuxSystem
import Reconciler
import StackModel

/// What the last looks have found that the records do not say, and who tells when to look again.
struct DriftState {
    /// By container id; those that are as they should be are left out.
    var containers: [String: ContainerDrift] = [:]
    /// By container id: since when its processes stand still.
    var pausedSince: [String: Nanoseconds] = [:]
    /// By container id: what control files say after they were written, where the kernel writes it its own way.
    var accepted: [String: [String: String]] = [:]
    /// Networks with kernel parameters that are not theirs.
    var changedNetworks: Set<String> = []
    /// By bridge: what others have plugged into it.
    var foreignPorts: [String: [String]] = [:]
    var lostVolumes: Set<String> = []
    /// By id: containers whose own files are gone.
    var lostFolders: Set<String> = []
    /// By stack.
    var content: [String: [DriftFacts.Object]] = [:]
    var fileStates: [String: FileState] = [:]
    /// By stack: when each entry was seen first.
    var known: [String: [DriftKey: Nanoseconds]] = [:]
    /// Containers to look at soon.
    var due: Set<String> = []
    var isDue = false
    var watches: DriftWatches?
}

struct DriftWatches {
    /// Keys are container ids.
    var controls: FolderWatch
    /// Keys are the folders' paths.
    var files: FolderWatch
}

struct DriftKey: Hashable {
    var address: String
    var kind: DriftClass
}

/// What others have changed of one running container.
struct ContainerDrift: Equatable, Sendable {
    var limits: [ChangedLimit] = []
    var isFrozen = false
    var problems: [ObservedContainer.Problem] = []

    var isEmpty: Bool { self == ContainerDrift() }
}

/// A file of a config or a secret, as it was when its content was compared last.
struct FileState: Equatable, Sendable {
    var device: UInt64
    var number: UInt64
    var byteCount: Int64
    var modifiedSeconds: Int
    var modifiedNanoseconds: Int
    /// Of the content that was applied.
    var appliedByteCount: Int
    var isSame: Bool
    /// What a pipe or a device held is not asked for again.
    var isRegular: Bool

    /// `nil` when there is no such file.
    init?(path: String, appliedByteCount: Int) {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        device = UInt64(info.st_dev)
        number = UInt64(info.st_ino)
        byteCount = Int64(info.st_size)
        isRegular = info.st_mode & S_IFMT == S_IFREG
        modifiedSeconds = info.st_mtim.tv_sec
        modifiedNanoseconds = info.st_mtim.tv_nsec
        self.appliedByteCount = appliedByteCount
        isSame = true
    }

    func isStamped(as other: FileState) -> Bool {
        var copy = other
        copy.isSame = isSame
        return copy == self
    }
}

/// What to look at of one container, for a thread that may block.
struct ContainerLookRequest: Sendable {
    var id: String
    var name: String
    var generation: Int
    var folder: String
    /// What `resources` are made of.
    var limits: Resources
    var resources: RuntimeSpec.Resources
    /// `nil`: its network is none of ours, or its own to change.
    var interfaces: [InterfaceSpec]?
    /// Kernel parameters of its network namespace.
    var parameters: [String: String]
    /// Host interface to engine network.
    var networks: [String: String]

    /// `drift` is `nil` when the container has ended meanwhile.
    struct Answer: Sendable {
        var request: ContainerLookRequest
        var drift: ContainerDrift? = ContainerDrift()
        var failures: [String] = []
    }

    /// Blocks.
    static func run(_ requests: [Self], _ runtime: Runtime, _ network: NetworkManager) -> [Answer] {
        var answers = requests.map { $0.lookAtControls(runtime) }
        let visited = answers.indices.filter { answers[$0].drift != nil && answers[$0].request.interfaces != nil }
        guard !visited.isEmpty else { return answers }
        let visits = visited.map { index in
            let request = answers[index].request
            return NetworkManager.InsideVisit(
                id: request.id, request.interfaces ?? [], parameters: request.parameters)
        }
        do throws(NetworkError) {
            for (index, result) in zip(visited, try network.lookInside(visits)) {
                let request = answers[index].request
                switch result {
                case .success(let problems): answers[index].drift?.problems = problems.compactMap(request.problem)
                case .failure(let error): answers[index].failures.append("\(error)")
                }
            }
        } catch {
            for index in visited { answers[index].failures.append("\(error)") }
        }
        return answers
    }

    private func lookAtControls(_ runtime: Runtime) -> Answer {
        var answer = Answer(request: self)
        do throws(RuntimeError) {
            let look = try runtime.lookAtControls(directory: folder, resources)
            answer.drift?.limits = look.changed.map {
                ChangedLimit(file: $0.file, present: $0.present, wanted: $0.wanted)
            }
            answer.drift?.isFrozen = look.isFrozen
        } catch {
            if case .notRunning = error { answer.drift = nil } else { answer.failures.append("\(error)") }
        }
        return answer
    }

    private func problem(_ problem: InsideProblem) -> ObservedContainer.Problem? {
        switch problem {
        case .missing(let host): networks[host].map { .vethMissing(network: $0) }
        case .down(let host): networks[host].map { .interfaceDown(network: $0) }
        case .addressMissing(let host): networks[host].map { .addressMissing(network: $0) }
        case .routeMissing(let host): networks[host].map { .routeMissing(network: $0) }
        case .settingChanged(let host, let name): networks[host].map { .settingChanged(network: $0, name: name) }
        }
    }
}
