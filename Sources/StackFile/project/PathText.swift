/// Paths as text: nothing here looks at the file system.
enum PathText {
    /// `path` without `.`, `..` and doubled slashes (Go's `path.Clean`). An absolute path stays absolute.
    static func clean(_ path: String) -> String {
        let isAbsolute = path.hasPrefix("/")
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == "..", let last = parts.last, last != ".." {
                parts.removeLast()
            } else if part != ".." || !isAbsolute {
                parts.append(part)
            }
        }
        let joined = parts.joined(separator: "/")
        if isAbsolute { return "/" + joined }
        return joined.isEmpty ? "." : joined
    }

    /// Whether an absolute path is as `clean` would give it.
    static func isClean(_ path: String) -> Bool {
        let (slash, dot) = (UInt8(ascii: "/"), UInt8(ascii: "."))
        guard path.utf8.first == slash, path.utf8.count > 1 else { return path == "/" }
        var length = 0
        var dots = 0
        for byte in path.utf8.dropFirst() {
            if byte == slash {
                if length == 0 || (dots == length && length <= 2) { return false }
                (length, dots) = (0, 0)
            } else {
                length += 1
                if byte == dot { dots += 1 }
            }
        }
        return length > 0 && !(dots == length && length <= 2)
    }

    /// The absolute form of a path that is relative to `directory`; `~` is the home folder.
    static func absolute(_ path: String, in directory: String, home: String?) -> String {
        if path == "~" || path.hasPrefix("~/"), let home { return clean(home + "/" + path.dropFirst(2)) }
        return path.hasPrefix("/") ? clean(path) : clean(directory + "/" + path)
    }

    /// How to get from the folder `base` to `path`, both absolute and clean (Go's `filepath.Rel`).
    static func relative(_ path: String, to base: String) -> String {
        let wanted = path.split(separator: "/")
        let start = base.split(separator: "/")
        let common = zip(wanted, start).prefix { $0 == $1 }.count
        let parts = Array(repeating: "..", count: start.count - common) + wanted.dropFirst(common).map(String.init)
        return parts.isEmpty ? "." : parts.joined(separator: "/")
    }

    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "" }

    /// The path a user in `directory` would type.
    static func shown(_ path: String, from directory: String) -> String {
        let prefix = directory == "/" ? "/" : directory + "/"
        return path.hasPrefix(prefix) && path.count > prefix.count ? String(path.dropFirst(prefix.count)) : path
    }
}
