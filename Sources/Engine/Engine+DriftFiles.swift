import FileWatch
import LinuxSystem
import Logging
import Reconciler
import StackModel

/// Files and folders that others can take away or change: of volumes, of containers, of configs and secrets.
extension Engine {
    /// Larger files are compared by their size alone.
    private static let contentByteCountMax = 1 << 24

    private struct Content: Sendable {
        var stack: String
        /// `configs.app`.
        var address: String
        var path: String
        var bytes: [UInt8]
    }

    func lookAtFiles() async {
        watchFiles()
        let volumeFolders = volumes.keys.map { ($0, options.volumeData($0)) }
        let containerFolders = containers.values.filter { $0.stored.startedAt != nil }
            .map { ($0.stored.id, options.containerData($0.stored.id)) }
        let contents = fileContents()
        let known = drift.fileStates
        let (lostVolumes, lostFolders, states) = await pool.run {
            (
                Set(volumeFolders.filter { !FileSystem.exists($0.1) }.map(\.0)),
                Set(containerFolders.filter { !FileSystem.exists($0.1) }.map(\.0)),
                contents.map { Self.state(of: $0, known: known[$0.path]) }
            )
        }
        var changed: Set<String> = []
        for name in lostVolumes.symmetricDifference(drift.lostVolumes) {
            // Made or removed meanwhile by ourselves.
            if let stack = volumes[name]?.stackName { changed.insert(stack) }
        }
        for id in lostFolders.symmetricDifference(drift.lostFolders) {
            if let stack = containers[id]?.stored.stackName { changed.insert(stack) }
        }
        drift.lostVolumes = lostVolumes
        drift.lostFolders = lostFolders
        changed.formUnion(noteContents(contents, states))
        for stack in changed { noteChange(in: stack) }
    }

    private func noteContents(_ contents: [Content], _ states: [FileState?]) -> Set<String> {
        var found: [String: [DriftFacts.Object]] = [:]
        var fresh: [String: FileState] = [:]
        for (content, state) in zip(contents, states) {
            fresh[content.path] = state
            guard state?.isSame != true else { continue }
            let detail = state == nil ? "its file \(content.path) is gone" : "its file \(content.path) was changed"
            found[content.stack, default: []].append(DriftFacts.Object(address: content.address, detail: detail))
        }
        let stacks = Set(found.keys).union(drift.content.keys).filter { found[$0] != drift.content[$0] }
        drift.content = found
        drift.fileStates = fresh
        return stacks
    }

    /// A file that has not been touched is not read again.
    private static func state(of content: Content, known: FileState?) -> FileState? {
        guard var state = FileState(path: content.path, appliedByteCount: content.bytes.count) else { return nil }
        if let known, known.isStamped(as: state) { return known }
        guard state.isRegular else { return state }
        state.isSame = state.byteCount == content.bytes.count
        if state.isSame, content.bytes.count <= contentByteCountMax {
            // One that cannot be read is none that could be applied.
            let bytes = try? FileSystem.readFile(content.path, byteCountMax: contentByteCountMax)
            state.isSame = bytes == content.bytes
        }
        return state
    }

    private func fileContents() -> [Content] {
        var contents: [Content] = []
        for (name, entry) in stacks where entry.record.active {
            let stack = entry.record.stack
            for (kind, objects) in [("configs", stack.configs), ("secrets", stack.secrets)] {
                for (key, object) in objects {
                    guard let path = object.file, let bytes = object.content, !object.external,
                        !path.hasPrefix("/dev/"), !path.hasPrefix("/proc/")
                    else { continue }
                    contents.append(Content(stack: name, address: "\(kind).\(key)", path: path, bytes: bytes))
                }
            }
        }
        return contents.sorted { ($0.stack, $0.address) < ($1.stack, $1.address) }
    }

    /// The folders in which something of ours can go, and those of configs and secrets.
    private func watchFiles() {
        guard let watch = drift.watches?.files else { return }
        var paths: Set<String> = ["\(options.dataRoot)/volumes", "\(options.dataRoot)/containers"]
        paths.formUnion(volumes.keys.map { FileSystem.parent(of: options.volumeData($0)) })
        paths.formUnion(fileContents().map { FileSystem.parent(of: $0.path) })
        for (path, error) in watch.watchOnly(paths, mask: Self.fileEvents) {
            // The sweep looks, too.
            log.debug("folder not watched", metadata: ["path": "\(path)", "reason": "\(error)"])
        }
    }
}
