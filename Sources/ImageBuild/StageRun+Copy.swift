import CLinux
import Dockerfile
import Images
import LinuxSystem

/// COPY, ADD and WORKDIR.
extension StageRun {
    mutating func copy(_ copy: Copy, _ step: Instruction, _ title: String) async throws(BuildFailure) {
        let source = try await source(of: copy)
        try await self.copy(copy, from: source, unpacks: false, step, title)
    }

    mutating func copy(
        _ copy: Copy, from source: Source, unpacks: Bool, _ step: Instruction, _ title: String
    ) async throws(BuildFailure) {
        let copying = try plan(copy, unpacks: unpacks)
        let parent = tree.key
        // The key of a stage's or an image's tree tells its content, so that it need not be looked at.
        var alias: Digest?
        if let sourceKey = source.key {
            let key = copying.key(parent: tree.key)
            key.add("source", sourceKey.hex)
            alias = key.finish()
        }
        try await fileStep(step, title, alias: alias) { [self] _ async throws(BuildFailure) in
            let owner = try await owner(copying)
            return try await builder.onPool { () throws(BuildFailure) in
                let opened = try source.open()
                let content = try ImageBuild.copying { () throws(BuildError) in
                    try CopySelection(copying.job(owner), from: opened.source).digest(opened.index)
                }
                let key = copying.key(parent: parent)
                key.add("owner", owner.map { "\($0.uid):\($0.gid)" })
                key.add("content", content.hex)
                return key.finish()
            }
        } perform: { [self] tree, draft, _ async throws(BuildFailure) in
            let owner = try await owner(copying)
            let (host, lower) = (builder.host, copying.isLinked ? [] : tree.lowerDirectories)
            try await builder.onPool { () throws(BuildFailure) in
                let from = try source.open()
                let into = try host.open(lower: lower, upper: draft.upper, work: draft.work)
                try ImageBuild.copying { () throws(BuildError) in
                    try CopySelection(copying.job(owner), from: from.source).copy(into: into.root)
                }
            }
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
        try await fileStep(step, title) { _ async throws(BuildFailure) in
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
        var open: @Sendable () throws(BuildFailure) -> OpenedSource
    }

    struct OpenedSource {
        var source: CopySource
        var index: DigestIndex?
        /// Keeps what is mounted for it.
        var tree: OpenTree?
    }

    /// Waits for the stage that an instruction's `--from` names.
    func source(of copy: Copy) async throws(BuildFailure) -> Source {
        guard let word = copy.from else { return try contextSource() }
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
            let outcome = try await Self.outcome(number, others)
            return treeSource(outcome.tree.lowerDirectories, key: outcome.tree.key, name: stageName(number))
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
        var destination: String
        var unpacks: Bool
        var isLinked: Bool

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
            key.add("unpacks", unpacks)
            key.add("linked", isLinked)
            return key
        }

        func job(_ owner: TreeUser?) -> CopyJob {
            var job = CopyJob(files: copy.sources.map(\.text), destination: destination)
            job.inline = copy.files.map { (name: $0.name, bytes: Array($0.content.utf8)) }
            job.owner = owner.map { (uid: $0.uid, gid: $0.gid) }
            job.mode = (copy.mode?.text).flatMap { FileMode(parsing: $0) }
            job.keepsParents = copy.keepsParents
            job.excludes = copy.excludes.map(\.text)
            job.unpacksArchives = unpacks
            return job
        }
    }

    func plan(_ copy: Copy, unpacks: Bool) throws(BuildFailure) -> Copying {
        let text = copy.destination.text
        var destination =
            text.hasPrefix("/") ? CopyPath.absolute(text) : CopyPath.absolute(scope.workingDirectory + "/" + text)
        let namesFolder = text.hasSuffix("/") || text == "." || text.hasSuffix("/.") || text.isEmpty
        if namesFolder, !destination.hasSuffix("/") { destination += "/" }
        return Copying(copy: copy, destination: destination, unpacks: unpacks, isLinked: copy.isLinked)
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
