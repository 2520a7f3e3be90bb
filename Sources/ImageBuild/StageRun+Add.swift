import CLinux
import Dockerfile
import Images
import LinuxSystem
import Registry

/// ADD.
extension StageRun {
    mutating func add(_ add: Add, _ step: Instruction, _ title: String) async throws(BuildFailure) {
        var parts: [CopyPart] = []
        var local = add.copy
        local.sources = add.copy.sources.filter { Add.source($0.text) == .context }
        if !local.sources.isEmpty || !local.files.isEmpty {
            let source = local.sources.isEmpty ? inlineSource() : try contextSource()
            parts.append(CopyPart(source: source, copying: try plan(local, unpacks: add.unpacks ?? true)))
        }
        for word in add.copy.sources where Add.source(word.text) != .context {
            var remote = add.copy
            (remote.sources, remote.files) = ([word], [])
            parts.append(try await self.remote(word.text, remote, add))
        }
        try await copy(parts, step, title)
    }

    private func remote(_ address: String, _ copy: Copy, _ add: Add) async throws(BuildFailure) -> CopyPart {
        let checksum = (add.checksum?.text).flatMap { $0.isEmpty ? nil : $0 }
        var copying = try plan(copy, unpacks: add.unpacks ?? false)
        guard Add.source(address) == .git else {
            let file = try await download(address, checksum)
            copying.files = [file.name]
            copying.isLiteral = true
            return CopyPart(source: file.source, copying: copying)
        }
        copying.files = ["."]
        return CopyPart(
            source: try await repository(address, keepsGitFolder: add.keepsGitFolder, checksum), copying: copying)
    }

    private func download(
        _ address: String, _ checksum: String?
    ) async throws(BuildFailure) -> (name: String, source: Source) {
        let (cache, stop) = (builder.downloads, builder.stop)
        let secrets = RemoteSecrets(builder.input.secrets)
        return try await builder.onPool { () throws(BuildFailure) in
            try copying { () throws(BuildError) in
                let source = try HTTPSource(address, checksum: checksum, cache: cache)
                let file = try source.fetch(with: FileDownload(), secrets: secrets, stop: stop)
                let opened = Source(key: file.digest) { () throws(BuildFailure) in
                    OpenedSource(source: file.source)
                }
                return (source.fileName, opened)
            }
        }
    }

    private func repository(
        _ address: String, keepsGitFolder: Bool?, _ checksum: String?
    ) async throws(BuildFailure) -> Source {
        let (store, stop, options) = (builder.store, builder.stop, builder.gitOptions)
        return try await builder.onPool { () throws(BuildFailure) in
            try copying { () throws(BuildError) in
                guard let reference = try GitReference(address) else {
                    throw .invalid("\(address) is no git repository")
                }
                let git = try GitSource(
                    reference, keepsGitFolder: keepsGitFolder, checksum: checksum, options: options)
                let commit = try git.resolve(stop: stop)
                let key = StepKey(parent: Digest.sha256(of: []), "git")
                key.add("commit", commit.id)
                key.add("subfolder", reference.subfolder)
                key.add("git", keepsGitFolder ?? reference.keepsGitFolder ?? false)
                return Source(key: key.finish()) { () throws(BuildFailure) in
                    // Only when the step is not in the cache.
                    let draft = try storing { () throws(ImageError) in try store.makeDraft() }
                    let tree = try copying { () throws(BuildError) in
                        try git.checkOut(commit, into: draft.upper, stop: stop)
                    }
                    return OpenedSource(source: tree, draft: draft)
                }
            }
        }
    }

    /// Of heredocs, which bring their content themselves.
    func inlineSource() -> Source {
        let store = builder.store
        return Source(key: nil) { () throws(BuildFailure) in
            let draft = try storing { () throws(ImageError) in try store.makeDraft() }
            let root = try calling { () throws(SystemError) in
                SharedDescriptor(try FileDescriptor.open(draft.upper, O_PATH | O_DIRECTORY))
            }
            return OpenedSource(
                source: CopySource(root: root, ignore: nil, name: "the instruction", keepsOwners: false), draft: draft)
        }
    }
}

extension Builder {
    var gitOptions: GitOptions {
        GitOptions(secrets: input.secrets, agents: input.agents, proxies: input.options.proxyEnvironment)
    }
}
