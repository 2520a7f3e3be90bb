import CLinux
import Glibc
import Images
import LinuxSystem
import Registry

/// A git repository as a source of ADD, or as a build context.
public struct GitSource: Sendable {
    public let reference: GitReference
    private let keepsGitFolder: Bool
    private let options: GitOptions

    /// - Parameters:
    ///   - keepsGitFolder: of `--keep-git-dir`; nil when not said. Without a folder within the repository only.
    ///   - checksum: of `--checksum`.
    public init(
        _ reference: GitReference, keepsGitFolder: Bool? = nil, checksum: String? = nil,
        options: GitOptions = GitOptions()
    ) throws(BuildError) {
        var reference = reference
        if let said = reference.keepsGitFolder, let keepsGitFolder, said != keepsGitFolder {
            throw .invalid(
                "the address says keep-git-dir=\(said), and the instruction --keep-git-dir=\(keepsGitFolder)")
        }
        if let checksum {
            guard GitReference.isHex(checksum) else {
                throw .invalid("\(checksum.debugDescription) is no commit: it has up to 64 digits of 0-9 and a-f")
            }
            guard reference.checksum == nil || reference.checksum == checksum else {
                throw .invalid("the address and --checksum name different commits")
            }
            reference.checksum = checksum
        }
        if reference.reference == nil { reference.reference = reference.checksum }
        self.reference = reference
        self.keepsGitFolder = keepsGitFolder ?? reference.keepsGitFolder ?? false
        self.options = options
    }

    private var shown: String { AddressParts.withoutUser(reference.remote) }

    /// What is meant, in the repository as it is now.
    public struct Commit: Equatable, Sendable {
        /// 40 or 64 hexadecimal digits. Good for a cache's key.
        public var id: String
        /// By which the server knows it; nil for a commit that was named itself.
        var name: String?
    }

    /// Asks the server which commit the branch or tag is. One that is named itself is not asked for.
    public func resolve(stop: Cancellation) throws(BuildError) -> Commit {
        let wanted = reference.reference ?? "HEAD"
        if GitReference.isCommit(wanted) { return try checked(Commit(id: wanted, name: nil)) }
        let git = try GitProgram(folder: nil, remote: reference.remote, options, stop)
        let patterns = wanted == "HEAD" ? ["HEAD"] : [wanted, "\(wanted)^{}"]
        var known: [String: String] = [:]
        for line in try git.run(["ls-remote", "--quiet", "--", git.address] + patterns).split(separator: "\n") {
            let parts = line.split(separator: "\t", maxSplits: 1)
            guard parts.count == 2, GitReference.isCommit(String(parts[0])) else { continue }
            known[String(parts[1])] = String(parts[0])
        }
        guard let commit = Self.choose(wanted, known) else {
            throw .notFound("\(shown) has no branch or tag \(wanted.debugDescription)")
        }
        return try checked(commit)
    }

    /// As BuildKit: the very name, then a branch, then a tag, of which the commit it stands for.
    static func choose(_ wanted: String, _ known: [String: String]) -> Commit? {
        if wanted == "HEAD" { return known["HEAD"].map { Commit(id: $0, name: "HEAD") } }
        func without(_ prefix: String) -> String {
            wanted.hasPrefix(prefix) ? String(wanted.dropFirst(prefix.count)) : wanted
        }
        for name in [
            "refs/" + without("refs/"), "refs/heads/" + without("refs/heads/"),
            "refs/tags/" + without("refs/tags/"),
        ] {
            if let id = known[name + "^{}"] ?? known[name] { return Commit(id: id, name: name) }
        }
        return nil
    }

    private func checked(_ commit: Commit) throws(BuildError) -> Commit {
        guard let checksum = reference.checksum, !commit.id.hasPrefix(checksum) else { return commit }
        throw .remote("\(shown) has commit \(commit.id), and \(checksum) was expected")
    }

    /// Checks a commit out.
    ///
    /// - Parameter folder: an empty one of the engine's own, which nobody else may enter.
    public func checkOut(_ commit: Commit, into folder: String, stop: Cancellation) throws(BuildError) -> CopySource {
        let git = try GitProgram(folder: folder, remote: reference.remote, options, stop)
        _ = try git.run(["init", "--quiet", "--template="])
        _ = try git.run(["remote", "add", "origin", git.address])
        let head = try fetch(commit, git)
        // A branch that has moved since it was asked for is another content than the key says.
        guard head == commit.id else { throw .changed("\(shown) was changed while the build read it; build again") }
        _ = try git.run(["checkout", "--quiet", "--force", "--detach", commit.id])
        if reference.hasSubmodules, FileSystem.exists("\(folder)/.gitmodules") {
            _ = try git.run(["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"])
        }
        try tidy(folder, git)
        return try source(folder)
    }

    /// What was fetched. One commit alone where the server can do that, else all of them.
    private func fetch(_ commit: Commit, _ git: GitProgram) throws(BuildError) -> String {
        let start = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--force"]
        let all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
        var name = "FETCH_HEAD"
        do throws(GitProgram.Trouble) {
            _ = try git.attempt(start + ["--depth=1", "origin", commit.name ?? commit.id])
        } catch {
            switch error {
            case .build(let error): throw error
            case .failed(let failure):
                guard failure.wantsWhole else { throw .remote("\(shown): \(failure.text)") }
                _ = try git.run(start + ["origin"] + (commit.name.map { [$0] } ?? all))
                if commit.name == nil { name = commit.id }
            }
        }
        let id = try git.run(["rev-parse", "--verify", "--quiet", "--end-of-options", "\(name)^{commit}"])
        return String(id.prefix { $0 != "\n" })
    }

    /// Takes away what has credentials in it, or what nobody asked for.
    private func tidy(_ folder: String, _ git: GitProgram) throws(BuildError) {
        let top = "\(folder)/.git"
        guard keepsGitFolder, reference.subfolder == nil else {
            return try building { () throws(SystemError) in
                try TreeRemoval.remove(top)
                try Self.removeLinks(toRepositoriesIn: folder)
            }
        }
        _ = try git.run(["remote", "set-url", "origin", shown])
        try building { () throws(SystemError) in
            for name in ["FETCH_HEAD", "logs", "hooks"] { try TreeRemoval.remove("\(top)/\(name)") }
        }
    }

    /// Submodules have a file `.git` that leads to what was just removed.
    private static func removeLinks(toRepositoriesIn folder: String) throws(SystemError) {
        guard FileSystem.exists("\(folder)/.gitmodules") else { return }
        let top = SharedDescriptor(try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY))
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        let resolve = UInt64(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
        let foldersMax = 1_000_000
        let depthMax = 256
        // Below the top, as git has them: names are bytes.
        var pending = [(path: Array(".".utf8), depth: 0)]
        var count = 0
        while let (path, depth) = pending.popLast() {
            count += 1
            let shown = quoted(path)
            guard count <= foldersMax, depth <= depthMax else { throw SystemError("readdir", path: shown, code: E2BIG) }
            let here = FileDescriptor(
                owning: try check("openat2", path: shown) {
                    CPath(path).withPointer { gantry_openat2(top.raw, $0, flags, 0, resolve) }
                })
            let raw = here.raw
            for name in try here.names() {
                var status = stat()
                try check("lstat", path: shown) {
                    name.withPointer { fstatat(raw, $0, &status, AT_SYMLINK_NOFOLLOW) }
                }
                if gantry_is_directory(status.st_mode) != 0 {
                    pending.append((path + [UInt8(ascii: "/")] + name.bytes, depth + 1))
                }
                guard name.bytes.elementsEqual(".git".utf8), gantry_is_regular(status.st_mode) != 0 else { continue }
                try check("unlink", path: shown) { name.withPointer { unlinkat(raw, $0, 0) } }
            }
        }
    }

    /// The folder that is meant, looked up within the checkout.
    private func source(_ folder: String) throws(BuildError) -> CopySource {
        let top = SharedDescriptor(
            try building { () throws(SystemError) in try FileDescriptor.open(folder, O_PATH | O_DIRECTORY) })
        let path = try PathParts(cleaning: Array((reference.subfolder ?? "").utf8))
        let place = try PathLookup(root: top).place(path)
        guard place.isFolder, let root = place.objects.last else {
            throw .notFound("\(shown) has no folder \"/\(path.text)\"")
        }
        return CopySource(root: root, ignore: nil, name: shown, keepsOwners: false)
    }
}
