import CLinux
import Dockerfile
import Glibc
import Images
import LinuxSystem

/// Something to copy.
struct SelectedEntry {
    /// Relative to the folder that is copied; of a file that is named, its name.
    var path: [UInt8]
    /// As `lstat(2)` tells it.
    var status: stat
    /// Where it is.
    var folder: SharedDescriptor
    var name: CPath
    /// A folder is held open.
    var opened: SharedDescriptor?
    /// A folder that only leads to what is copied: on the way to an exception or to what --parents names.
    var isImplied = false

    var type: mode_t { status.st_mode & S_IFMT }
}

/// Goes through one source of a COPY: parents first, names of a folder in the order of their bytes. Every step is from
/// a folder's descriptor, links are not followed, and what no pattern can want is not entered.
final class SelectionWalk {
    enum Step {
        case entry(SelectedEntry)
        /// All of the folder that was entered last and not left has been told.
        case leave
    }

    /// Each level holds a descriptor here, and another one where it is copied to.
    private static let depthMax = 256

    private final class Level {
        let folder: SharedDescriptor
        /// The folder as an entry; nil at the top, which is not told.
        var entry: SelectedEntry?
        let path: [UInt8]
        let device: dev_t
        var names: ArraySlice<[UInt8]>
        let filter: SelectionFilter
        var isTold: Bool

        init(
            _ folder: SharedDescriptor, _ entry: SelectedEntry?, device: dev_t, _ names: [[UInt8]],
            _ filter: SelectionFilter, isTold: Bool
        ) {
            self.folder = folder
            self.entry = entry
            path = entry?.path ?? []
            self.device = device
            self.names = names[...]
            self.filter = filter
            self.isTold = isTold
        }
    }

    private let source: CopySource
    private let base: [UInt8]
    private var levels: [Level] = []
    private var told: ArraySlice<Step> = []

    /// - Parameters:
    ///   - item: a folder whose content is copied, or a file.
    init(_ item: SelectedItem, of source: CopySource, excludes: IgnorePatterns?) throws(BuildError) {
        self.source = source
        base = item.path.joined
        let filter = SelectionFilter(item, source, excludes: excludes)
        guard item.isFolder else {
            guard let name = item.path.last else { throw source.changed(base) }
            let folder = try source.open(item.path.dropLast(), O_PATH | O_DIRECTORY)
            var status = stat()
            let text = CPath(name)
            guard text.withPointer({ fstatat(folder.raw, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0,
                gantry_is_directory(status.st_mode) == 0
            else { throw source.changed(base) }
            told = [.entry(SelectedEntry(path: item.name, status: status, folder: folder, name: text))]
            return
        }
        let folder = try source.open(item.path, O_RDONLY | O_DIRECTORY)
        var status = stat()
        try building { () throws(SystemError) in _ = try check("fstat") { fstat(folder.raw, &status) } }
        guard !KernelFileSystem.contains(folder.raw) else {
            throw .refused("\(quoted(base)) in \(source.name) is in a file system of the kernel's")
        }
        let names = try self.names(of: folder, [])
        levels = [Level(folder, nil, device: status.st_dev, names, filter, isTold: true)]
    }

    /// nil at the end. The folder that the walk began with is neither told nor left.
    func next() throws(BuildError) -> Step? {
        while true {
            if let step = told.popFirst() { return step }
            guard let level = levels.last else { return nil }
            if let name = level.names.popFirst() {
                try visit(name, in: level)
                continue
            }
            levels.removeLast()
            if level.isTold, !levels.isEmpty { return .leave }
        }
    }

    private func visit(_ name: [UInt8], in level: Level) throws(BuildError) {
        let path = level.path.isEmpty ? name : level.path + [UInt8(ascii: "/")] + name
        let text = CPath(name)
        var status = stat()
        guard text.withPointer({ fstatat(level.folder.raw, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            let code = errno
            // Gone since the folder was listed: it is as if it had never been there.
            if code == ENOENT { return }
            throw BuildError(SystemError("fstatat", path: shown(path), code: code))
        }
        let isFolder = gantry_is_directory(status.st_mode) != 0
        let (filter, verdict) = level.filter.entering(path, isFolder: isFolder)
        guard verdict != .none else { return }
        var entry = SelectedEntry(path: path, status: status, folder: level.folder, name: text)
        if verdict == .wanted { tellFolders() }
        guard isFolder else { return told.append(.entry(entry)) }
        guard levels.count < Self.depthMax else {
            throw .limit("\(shown(path)) in \(source.name) is more than \(Self.depthMax) folders deep")
        }
        let folder = try open(entry)
        try building { () throws(SystemError) in
            _ = try check("fstat", path: shown(path)) { fstat(folder.raw, &entry.status) }
        }
        entry.opened = folder
        // What is in /proc, /sys and their kind is no content, and some of it never ends.
        let isKernels = entry.status.st_dev != level.device && KernelFileSystem.contains(folder.raw)
        let names = isKernels ? [] : try self.names(of: folder, path)
        if verdict == .wanted { told.append(.entry(entry)) }
        levels.append(
            Level(folder, entry, device: entry.status.st_dev, names, filter, isTold: verdict == .wanted))
    }

    /// Folders on the way that had nothing to copy so far.
    private func tellFolders() {
        for level in levels where !level.isTold {
            level.isTold = true
            guard var entry = level.entry else { continue }
            entry.isImplied = true
            told.append(.entry(entry))
        }
    }

    private func open(_ entry: SelectedEntry) throws(BuildError) -> SharedDescriptor {
        let raw = entry.name.withPointer {
            gantry_openat(entry.folder.raw, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0)
        }
        let code = errno
        guard raw >= 0 else {
            if [ENOENT, ENOTDIR, ELOOP].contains(code) { throw source.changed(full(entry.path)) }
            throw BuildError(SystemError("openat", path: shown(entry.path), code: code))
        }
        return SharedDescriptor(FileDescriptor(owning: raw))
    }

    private func names(of folder: SharedDescriptor, _ path: [UInt8]) throws(BuildError) -> [[UInt8]] {
        do {
            return try folderNames(folder.raw, path: full(path))
        } catch {
            throw BuildError(error)
        }
    }

    private func full(_ path: [UInt8]) -> [UInt8] {
        base.isEmpty ? path : path.isEmpty ? base : base + [UInt8(ascii: "/")] + path
    }

    private func shown(_ path: [UInt8]) -> String { quoted(full(path)) }
}

/// Which of a source's entries are wanted, along a walk: the ignore file's, --exclude's and --parents' patterns.
struct SelectionFilter {
    enum Verdict {
        /// Neither it nor anything in it.
        case none
        /// A folder, for what may be in it.
        case onTheWay
        case wanted
    }

    private struct Layer {
        let patterns: IgnorePatterns
        var walk: IgnorePatterns.Walk
        /// What paths are counted from, with a `/` at its end.
        let base: String
    }

    private var layers: [Layer] = []

    init(_ item: SelectedItem, _ source: CopySource, excludes: IgnorePatterns?) {
        if let ignore = source.ignore, !ignore.isEmpty {
            let base = item.path.isEmpty ? "" : item.path.text + "/"
            layers.append(Layer(patterns: ignore, walk: source.ignoreWalk(item.path), base: base))
        }
        for patterns in [excludes, item.includes] {
            guard let patterns, !patterns.isEmpty else { continue }
            layers.append(Layer(patterns: patterns, walk: IgnorePatterns.Walk(), base: ""))
        }
    }

    /// What holds in `path`, if it is a folder, and what of itself.
    func entering(_ path: [UInt8], isFolder: Bool) -> (SelectionFilter, Verdict) {
        guard !layers.isEmpty else { return (self, .wanted) }
        var result = self
        var verdict = Verdict.wanted
        let text = String(decoding: path, as: UTF8.self)
        for index in layers.indices {
            let layer = layers[index]
            let full = layer.base + text
            let walk = layer.patterns.follow(full, layer.walk)
            result.layers[index].walk = walk
            guard walk.isIgnored else { continue }
            guard isFolder, !layer.patterns.canSkip(full, walk) else { return (result, .none) }
            verdict = .onTheWay
        }
        return (result, verdict)
    }
}
