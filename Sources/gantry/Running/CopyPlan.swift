import Images

/// One side of `cp`: a container and a path in it, or a path here.
enum CopyPlace: Equatable {
    case container(name: String, path: String)
    case local(String)

    /// Docker's rule: what begins with `/` or `.` is a path here, and a colon is what else tells a container.
    init(_ text: String) {
        guard !text.hasPrefix("/"), let colon = text.firstIndex(of: ":") else {
            self = .local(text)
            return
        }
        let name = text[..<colon]
        guard !name.hasPrefix("."), !name.isEmpty else {
            self = .local(text)
            return
        }
        self = .container(name: String(name), path: String(text[text.index(after: colon)...]))
    }
}

/// What is known of the source or the destination of a copy.
struct CopyEnd: Equatable {
    var path: String
    var exists = true
    var isFolder = false
    /// The name asked for, where following a link has led to another.
    var name: String?
}

/// Where an archive of the source is extracted, and under which name. Pure.
struct CopyPlan: Equatable {
    var folder: String
    /// The top of the archive as it is, and as it is to be; equal when it stays.
    var oldName: String
    var newName: String

    /// Docker's rules (`docker cp`, "Description"):
    /// - a folder into a folder that exists, or a file into one: below it, under its own name;
    /// - a folder to what does not exist: made under that name; a file to a file or to what does not exist: likewise;
    /// - a folder over a file, or a file to `NAME/` where there is no folder: refused.
    init(from source: CopyEnd, to destination: CopyEnd) throws(CommandFailure) {
        let (destinationFolder, destinationName) = CopyPath.split(destination.path)
        let sourceName = CopyPath.split(source.path).name
        oldName = sourceName
        newName = source.name ?? sourceName
        if destination.exists, destination.isFolder {
            folder = destination.path
            return
        }
        if destination.exists, source.isFolder {
            throw CommandFailure(code: "copy.conflict", "cannot copy a directory to '\(destination.path)', a file")
        }
        if !destination.exists, !source.isFolder, CopyPath.assertsFolder(destination.path) {
            throw CommandFailure(
                code: "copy.no-directory", "there is no directory '\(destination.path)'",
                hint: "make it first, or leave out the last '/' to have a file of that name")
        }
        folder = destinationFolder.isEmpty ? "." : destinationFolder
        newName = destinationName
    }

    /// The name of an entry where the archive is extracted; nil for one that is not below the archive's top.
    var rename: @Sendable ([UInt8]) -> [UInt8]? {
        let isContent = oldName == "." || oldName == "/" || oldName.isEmpty
        let (old, keeps) = (Array(oldName.utf8), oldName == newName)
        let new = newName == "." || newName == "/" ? [] : Array(newName.utf8)
        return { path in
            if isContent {
                if keeps || new.isEmpty { return path }
                return path.isEmpty ? new : new + [UInt8(ascii: "/")] + path
            }
            guard path.starts(with: old), path.count == old.count || path[old.count] == UInt8(ascii: "/") else {
                return nil
            }
            let rest = path.dropFirst(old.count)
            return new.isEmpty ? Array(rest.drop { $0 == UInt8(ascii: "/") }) : new + rest
        }
    }

    /// The path that stands for a link's target: what the asked-for path ends with is kept, and so is its name.
    static func following(_ path: String, to target: String) -> (path: String, name: String?) {
        let resolved = CopyPath.keepingEnd(of: path, on: target)
        return (resolved, CopyPath.base(path) == CopyPath.base(resolved) ? nil : CopyPath.base(path))
    }
}
