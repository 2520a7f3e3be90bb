import Dockerfile
import Images

/// The files of a stage so far: a base image's layers and those that steps made, bottom first.
struct StageTree: Sendable {
    /// nil: from scratch.
    var base: Image?
    var built: [Piece] = []
    /// What all that is depends on.
    var key: Digest
    /// Something of it came from `cache_from`: what is made of it is for this build alone.
    var isImported = false

    /// A step's layer.
    struct Piece: Sendable {
        /// The tree's folder, which is a draft's until the layer has its final name.
        var path: String
        /// nil as long as it is being measured.
        var layer: BuiltLayer?
        /// Keeps the folder.
        var draft: LayerDraft?
    }

    /// Topmost first, each once: overlayfs refuses the same folder twice.
    var lowerDirectories: [String] {
        var seen: Set<String> = []
        return (built.reversed().map(\.path) + (base?.lowerDirectories ?? [])).filter { seen.insert($0).inserted }
    }

    var layers: [BuiltLayer] { built.compactMap(\.layer) }
}

/// What a stage has become, for those that start from it or copy from it.
struct StageOutcome: Sendable {
    var tree: StageTree
    var config: ImageConfig
    var scope: StageScope
    /// CMD was set in this stage or one below it: ENTRYPOINT does not reset it.
    var hasCommand: Bool
}

extension ImageConfig {
    /// A base image need not say how its layers came to be; those of the build stand behind as many steps.
    mutating func completeHistory() {
        let known = history.count { $0.emptyLayer != true }
        for _ in 0..<max(0, rootfs.diffIDs.count - known) {
            var step = History()
            step.created = created
            history.append(step)
        }
    }

    /// Of a stage that starts from nothing.
    static func scratch(_ platform: Platform) -> ImageConfig {
        var config = ImageConfig(
            architecture: platform.architecture, os: platform.system, rootfs: ImageConfig.RootFS(diffIDs: []))
        if !platform.variant.isEmpty { config.variant = platform.variant }
        return config
    }
}
