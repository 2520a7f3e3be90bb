import CLinux
import Dockerfile
import Images
import LinuxSystem
import Synchronization

/// A value that the parts of one step share.
final class SharedValue<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { value.withLock { body(&$0) } }
}

/// COPY, ADD and WORKDIR.
extension StageRun {
    mutating func copy(_ copy: Copy, _ step: Instruction, _ title: String) async throws(BuildFailure) {
        let source = try await source(of: copy)
        try await self.copy([CopyPart(source: source, copying: try plan(copy, unpacks: false))], step, title)
    }

    /// Sources of one instruction that come from one place.
    struct CopyPart: Sendable {
        var source: Source
        var copying: Copying
    }

    mutating func copy(_ parts: [CopyPart], _ step: Instruction, _ title: String) async throws(BuildFailure) {
        guard let first = parts.first else { return }
        if parts.count > 1, !first.copying.destination.hasSuffix("/") {
            throw BuildFailure.failed(
                "destination", "with several sources the destination must be a folder and end in /")
        }
        let parent = tree.key
        // The key of a stage's or an image's tree tells its content, so that it need not be looked at. Who owns the
        // files may need a look at what a linked layer does not depend on.
        var alias: Digest?
        let needsUsers = first.copying.isLinked && first.copying.namesOwner
        if !needsUsers, parts.allSatisfy({ $0.source.key != nil }) {
            let key = first.copying.key(parent: parent)
            for part in parts {
                key.add("source", part.source.key?.hex)
                key.add("files", part.copying.files)
                key.add("unpacks", part.copying.unpacks)
            }
            alias = key.finish()
        }
        // What the key was taken of is what is copied: a file that changes in between is an error.
        let found = SharedValue<[FoundSelection]>([])
        let fileStep = FileStep(
            instruction: step, title: title, alias: alias, readsImported: parts.contains { $0.source.isImported })
        try await self.fileStep(fileStep) { [self] () async throws(BuildFailure) in
            let owner = try await owner(first.copying)
            let stop = builder.stop
            found.withLock { $0 = [] }
            return try await builder.onPool { () throws(BuildFailure) in
                let key = first.copying.key(parent: parent)
                key.add("owner", owner.map { "\($0.uid):\($0.gid)" })
                for part in parts {
                    key.add("unpacks", part.copying.unpacks)
                    let opened = try part.source.open()
                    let selection = try ImageBuild.copying { () throws(BuildError) in
                        let selection = try CopySelection(part.copying.job(owner), from: opened.source)
                        key.add("content", try selection.digest(opened.index, stop: stop).hex)
                        return selection
                    }
                    found.withLock { $0.append(FoundSelection(selection: selection, opened: opened)) }
                }
                return key.finish()
            }
        } perform: { [self] tree, draft, _ async throws(BuildFailure) in
            let (host, stop) = (builder.host, builder.stop)
            let lower = first.copying.isLinked ? [] : tree.lowerDirectories
            try await builder.onPool { () throws(BuildFailure) in
                let into = try host.open(lower: lower, upper: draft.upper, work: draft.work)
                for part in found.withLock({ $0 }) {
                    try ImageBuild.copying { () throws(BuildError) in
                        try part.selection.copy(into: into.root, stop: stop)
                    }
                }
            }
        }
        // The layer stands on nothing, what comes after it on all that lies below.
        if first.copying.isLinked {
            let key = StepKey(parent: parent, "linked")
            key.add("layer", tree.key.hex)
            tree.key = key.finish()
        }
    }

    mutating func makeWorkingDirectory(_ path: String, _ step: Instruction, _ title: String) async throws(BuildFailure)
    {
        config.config.workingDir = path
        let user = config.config.user
        let key = StepKey(parent: tree.key, "workdir")
        key.add("path", path)
        key.add("user", user)
        let digest = key.finish()
        try await fileStep(FileStep(instruction: step, title: title)) { () async throws(BuildFailure) in
            digest
        } perform: { [self] tree, draft, _ async throws(BuildFailure) in
            let (host, lower) = (builder.host, tree.lowerDirectories)
            try await builder.onPool { () throws(BuildFailure) in
                let into = try host.open(lower: lower, upper: draft.upper, work: draft.work)
                let owner = user.isEmpty ? TreeUser.root : try TreeUser(user, in: TreeRoot(into.root))
                try makeFolders(path, owner: (owner.uid, owner.gid), in: into.root)
            }
        }
    }

    // MARK: - Sources

    /// Where COPY and mounts take files from.
    struct Source: Sendable {
        /// What its content depends on, for stages and images.
        var key: Digest?
        /// Topmost first.
        var lower: [String] = []
        /// Something of it came from `cache_from`.
        var isImported = false
        var open: @Sendable () throws(BuildFailure) -> OpenedSource
    }

    struct OpenedSource: Sendable {
        var source: CopySource
        var index: DigestIndex?
        /// Keeps what is mounted for it, or was put there.
        var tree: OpenTree?
        var draft: LayerDraft?
    }

    /// Waits for the stage that an instruction's `--from` names.
    func source(of copy: Copy) async throws(BuildFailure) -> Source {
        guard let word = copy.from else { return copy.sources.isEmpty ? inlineSource() : try contextSource() }
        guard
            let dependency = node.dependencies.first(where: { $0.word.range == word.range && $0.word.text == word.text }
            )
                ?? node.dependencies.first(where: { $0.word.text == word.text })
        else { throw BuildFailure.failed("source", "'\(word.text)' is no stage, image or context of this build") }
        return try await source(dependency.source)
    }

    func source(_ source: BuildGraph.Source) async throws(BuildFailure) -> Source {
        switch source {
        case .stage(let number):
            if graph.nodes[number].isReplaced, case .context(let name) = graph.nodes[number].base,
                let context = builder.folder(name)
            {
                return folderSource(context)
            }
            let outcome = try await Self.outcome(number, others)
            var source = treeSource(outcome.tree.lowerDirectories, key: outcome.tree.key, name: stageName(number))
            source.isImported = outcome.tree.isImported
            return source
        case .image(let name):
            guard let image = images[name] else { throw BuildFailure.failed("image", "image \(name) was not fetched") }
            return imageSource(image, name)
        case .context(let name):
            switch builder.input.contexts[name] {
            case .folder(let context): return folderSource(context)
            case .image, .built: return imageSource(try builder.image(ofContext: name, images, node.stage), name)
            case nil: throw BuildFailure.failed("context", "no build context '\(name)'")
            }
        case .scratch:
            return treeSource([], key: StepKey.start([]), name: "scratch")
        }
    }

    private func stageName(_ number: Int) -> String { graph.dockerfile.stages[number].title }

    func contextSource() throws(BuildFailure) -> Source {
        guard let context = builder.input.context else {
            throw BuildFailure.failed(
                "context", "this build has no context to take files from", hint: "give a folder: gantry build PATH")
        }
        return folderSource(context)
    }

    private func folderSource(_ context: BuildContext) -> Source {
        Source(key: nil) { () throws(BuildFailure) in OpenedSource(source: context.source, index: context.index) }
    }

    private func imageSource(_ image: Image, _ name: String) -> Source {
        treeSource(image.lowerDirectories, key: StepKey.start(image.layers.map(\.diffID)), name: name)
    }

    private func treeSource(_ lower: [String], key: Digest, name: String) -> Source {
        let host = builder.host
        return Source(key: key, lower: lower) { () throws(BuildFailure) in
            let tree = try host.open(lower: lower, upper: nil, work: nil)
            return OpenedSource(
                source: CopySource(root: tree.root, ignore: nil, name: name, keepsOwners: true), tree: tree)
        }
    }

    // MARK: - What to copy

    /// A COPY or ADD whose words are expanded; who owns the files is looked up in the stage's tree.
    struct Copying: Sendable {
        var copy: Copy
        /// As the source has them.
        var files: [String]
        var isLiteral = false
        var destination: String
        var unpacks: Bool
        var isLinked: Bool

        /// `--chown` has names, which the stage's own lists of users explain.
        var namesOwner: Bool {
            guard let text = copy.owner?.text, !text.isEmpty else { return false }
            return TreeUser(numbers: text) == nil
        }

        func key(parent: Digest) -> StepKey {
            // A linked layer does not depend on what lies below it.
            let key = StepKey(parent: isLinked ? Digest.sha256(of: []) : parent, "copy")
            key.add("destination", destination)
            key.add("sources", copy.sources.map(\.text))
            key.add("excludes", copy.excludes.map(\.text))
            key.add("files", copy.files.flatMap { [$0.name, $0.content] })
            key.add("chown", copy.owner?.text)
            key.add("chmod", copy.mode?.text)
            key.add("parents", copy.keepsParents)
            key.add("linked", isLinked)
            return key
        }

        func job(_ owner: TreeUser?) -> CopyJob {
            var job = CopyJob(files: files, destination: destination)
            job.inline = copy.files.map { (name: $0.name, bytes: Array($0.content.utf8)) }
            job.owner = owner.map { (uid: $0.uid, gid: $0.gid) }
            job.mode = (copy.mode?.text).flatMap { FileMode(parsing: $0) }
            job.keepsParents = copy.keepsParents
            job.excludes = copy.excludes.map(\.text)
            job.unpacksArchives = unpacks
            job.isLiteral = isLiteral
            return job
        }
    }

    func plan(_ copy: Copy, unpacks: Bool) throws(BuildFailure) -> Copying {
        let text = copy.destination.text
        var destination =
            text.hasPrefix("/") ? CopyPath.absolute(text) : CopyPath.absolute(scope.workingDirectory + "/" + text)
        let namesFolder = text.hasSuffix("/") || text == "." || text.hasSuffix("/.") || text.isEmpty
        if namesFolder, !destination.hasSuffix("/") { destination += "/" }
        return Copying(
            copy: copy, files: copy.sources.map(\.text), destination: destination, unpacks: unpacks,
            isLinked: copy.isLinked)
    }

    /// `--chown`, by the stage's own lists of users.
    func owner(_ copying: Copying) async throws(BuildFailure) -> TreeUser? {
        guard let text = copying.copy.owner?.text, !text.isEmpty else { return nil }
        if let numbers = TreeUser(numbers: text) { return numbers }
        let (host, lower) = (builder.host, tree.lowerDirectories)
        return try await builder.onPool { () throws(BuildFailure) in
            let tree = try host.open(lower: lower, upper: nil, work: nil)
            return try TreeUser(text, in: TreeRoot(tree.root))
        }
    }
}

extension Builder {
    /// The folder that a named context stands for; nil for an image.
    func folder(_ name: String) -> BuildContext? {
        guard case .folder(let context) = input.contexts[name] else { return nil }
        return context
    }

    /// The image that a named context stands for.
    func image(ofContext name: String, _ images: [String: Image], _ stage: Int) throws(BuildFailure) -> Image {
        switch input.contexts[name] {
        case .built(let image): return image
        case .image(let text):
            if let image = images[text] { return image }
            throw BuildFailure.failed("image", "image \(text) was not fetched")
        case .folder, nil:
            throw BuildFailure.failed(
                "context", "'\(name)' is a folder, and a stage starts from an image",
                hint: "FROM scratch, then COPY --from=\(name)"
            ).at(input.dockerfile.stages[stage].base.range, of: input.dockerfile)
        }
    }
}
