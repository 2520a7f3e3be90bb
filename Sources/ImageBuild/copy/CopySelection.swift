import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem
import Synchronization

/// One source of a COPY, found.
struct SelectedItem: Sendable {
    /// As a file is called at a destination that is a folder.
    var name: [UInt8]
    /// In the source, without links.
    var path: PathParts
    /// Its content is copied, not itself.
    var isFolder: Bool
    /// What --parents wants of it: patterns that ignore everything else.
    var includes: IgnorePatterns?
}

/// What a COPY or ADD means in its source, by BuildKit's rules (`dockerfile2llb`, `tonistiigi/fsutil/copy`):
///
/// - Of a folder the content is copied, into a folder at the destination; a file is copied to the destination, or into
///   it where that is a folder or ends in `/`.
/// - A source that is not there is an error; wildcards may match nothing.
/// - Folders that are missing are made with mode 0755 (an octal --chmod's instead), owned by --chown or 0:0; so is the
///   destination itself, whose attributes are never the source's.
/// - Folders are merged: those within take over the source's attributes. A file takes the place of anything but a
///   folder; a folder takes nobody's place, a link to a folder neither.
/// - Links in the destination's path are followed within the image. --link is the caller's: an empty image.
/// - Modes with set-user-ID bits, times, capabilities, ACLs, hard links within one source, devices and pipes are kept;
///   a context's sockets become empty files.
public struct CopySelection: Sendable {
    /// Of all sources together.
    static let entryCountMax = 5_000_000
    static let matchCountMax = 100_000

    let job: CopyJob
    let source: CopySource
    let items: [SelectedItem]
    let excludes: IgnorePatterns?
    let inline: [(name: [UInt8], bytes: [UInt8])]
    let witness = SelectionWitness()

    /// Finds the sources. Nothing is read yet.
    public init(_ job: CopyJob, from source: CopySource) throws(BuildError) {
        self.job = job
        self.source = source
        let excludes = job.excludes.isEmpty ? nil : try Self.patterns(job.excludes)
        self.excludes = excludes
        var finder = SourceFinder(job: job, source: source)
        for file in job.files { try finder.find(Array(file.utf8)) }
        items = finder.items.filter { item in
            item.isFolder || excludes?.ignores(String(decoding: item.name, as: UTF8.self)) != true
        }
        var inline: [(name: [UInt8], bytes: [UInt8])] = []
        for file in job.inline {
            guard let name = try PathParts(cleaning: Array(file.name.utf8)).last else {
                throw .invalid("\"\(file.name)\" is no name of a file")
            }
            inline.append((name, file.bytes))
        }
        self.inline = inline
    }

    static func patterns(_ texts: [String]) throws(BuildError) -> IgnorePatterns {
        let start = SourcePosition(line: 1, column: 1)
        do {
            return try IgnorePatterns(texts.map { Word($0, at: SourceRange(start: start, end: start)) })
        } catch {
            throw .invalid("\(texts.joined(separator: ", ").prefix(300).debugDescription) is no pattern")
        }
    }

    /// Owner and permissions of what becomes of an entry.
    func owner(of status: stat) -> (uid: UInt32, gid: UInt32) {
        if let owner = job.owner { return owner }
        return source.keepsOwners ? (status.st_uid, status.st_gid) : (0, 0)
    }

    func permissions(of status: stat) -> UInt32 {
        let mode = status.st_mode & 0o7777
        return job.mode?.applied(to: mode, isFolder: gantry_is_directory(status.st_mode) != 0) ?? mode
    }
}

/// Finds what the words of a COPY name.
struct SourceFinder {
    let job: CopyJob
    let source: CopySource
    private(set) var items: [SelectedItem] = []

    init(job: CopyJob, source: CopySource) {
        self.job = job
        self.source = source
    }

    mutating func find(_ text: [UInt8]) throws(BuildError) {
        guard job.keepsParents else { return try find(try PathParts(cleaning: text), includes: nil) }
        let pivot = Array("/./".utf8)
        let place = text.indices.first { text[$0...].starts(with: pivot) }
        let top = try PathParts(cleaning: place.map { Array(text[..<$0]) } ?? [])
        let wanted = try PathParts(cleaning: place.map { Array(text[($0 + pivot.count)...]) } ?? text)
        guard !wanted.isEmpty else { return try find(top, includes: nil) }
        if !NamePattern.hasWildcards(text) {
            let found = try source.lookup.place(top + wanted)
            guard found.exists else { throw source.notFound(top + wanted, found) }
        }
        // Everything is ignored but what is wanted: so a walk knows what it need not enter.
        try find(top, includes: try CopySelection.patterns(["*", "!" + wanted.text]))
    }

    private mutating func find(_ path: PathParts, includes: IgnorePatterns?) throws(BuildError) {
        let isPattern = !job.isLiteral && path.contains { NamePattern.hasWildcards($0) }
        let found = isPattern ? try matches(path) : [path]
        for match in found {
            let place = try source.lookup.place(match)
            guard place.exists else { throw source.notFound(match, place) }
            guard place.isFolder || includes == nil else {
                throw .conflict("\"/\(match.text)\" in \(source.name) is not a folder, and --parents looks in it")
            }
            guard items.count < CopySelection.matchCountMax else {
                throw .limit("more than \(CopySelection.matchCountMax) files are matched in \(source.name)")
            }
            items.append(
                SelectedItem(
                    name: match.last ?? [], path: place.all, isFolder: place.isFolder, includes: includes))
        }
    }

    /// What a path with wildcards matches, in the order of names; links within are not followed. What stands before the
    /// first wildcard must be there.
    private func matches(_ path: PathParts) throws(BuildError) -> [PathParts] {
        let head = PathParts(path.prefix { !NamePattern.hasWildcards($0) })
        let place = try source.lookup.place(head)
        guard place.exists else { throw source.notFound(head, place) }
        var patterns: [NamePattern] = []
        for part in path[head.count...] {
            guard let pattern = NamePattern(part) else {
                throw .invalid("syntax error in pattern \(quoted(part)): a '[' needs its ']', a '\\' what it escapes")
            }
            patterns.append(pattern)
        }
        var found: [PathParts] = []
        var pending = [place.parts]
        for (index, pattern) in patterns.enumerated() {
            let isLast = index == patterns.count - 1
            found = []
            for folder in pending {
                found += try names(in: folder, pattern, foldersOnly: !isLast)
                guard found.count <= CopySelection.matchCountMax else {
                    throw .limit("more than \(CopySelection.matchCountMax) files are matched in \(source.name)")
                }
            }
            pending = found
        }
        return found
    }

    private func names(
        in path: PathParts, _ pattern: NamePattern, foldersOnly: Bool
    ) throws(BuildError) -> [PathParts] {
        let place = try PathLookup(root: source.root).place(path)
        guard place.isFolder, let folder = place.objects.last else { return [] }
        let names: [[UInt8]]
        do {
            names = try folderNames(folder.raw, path: path.joined)
        } catch {
            throw BuildError(error)
        }
        return names.filter { name in
            guard pattern.matches(name) else { return false }
            var status = stat()
            let answer = CPath(name).withPointer { fstatat(folder.raw, $0, &status, AT_SYMLINK_NOFOLLOW) }
            // Gone since the folder was listed.
            guard answer == 0 else { return false }
            let isFolder = gantry_is_directory(status.st_mode) != 0
            return (isFolder || !foldersOnly) && source.isVisible(path + [name], isFolder: isFolder)
        }.map { path + [$0] }
    }
}
