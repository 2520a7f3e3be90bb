/// Paths as `docker cp` reads them: cleaned by their text alone, and what stands at their end has a meaning. `DIR/.` is
/// the content of a folder, `DIR/` says that it is one.
public enum CopyPath {
    /// Go's `filepath.Clean`: shortest equal path, without looking at the disk. Empty becomes `.`.
    public static func clean(_ path: String) -> String {
        let isAbsolute = path.hasPrefix("/")
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if let last = parts.last, last != ".." {
                parts.removeLast()
            } else if !isAbsolute {
                parts.append(part)
            }
        }
        let text = parts.joined(separator: "/")
        if isAbsolute { return "/" + text }
        return text.isEmpty ? "." : text
    }

    /// `path` counted from the root, cleaned, with a last `/` or `/.` kept.
    public static func absolute(_ path: String) -> String {
        keepingEnd(of: path, on: clean("/" + path))
    }

    /// A last `/` or `/.` of `original` put on `cleaned`, which lost it.
    public static func keepingEnd(of original: String, on cleaned: String) -> String {
        var result = cleaned
        if !namesContent(result), namesContent(original) { result += result.hasSuffix("/") ? "." : "/." }
        if !result.hasSuffix("/"), original.hasSuffix("/") { result += "/" }
        return result
    }

    /// Whether it ends in `.`: a folder's content rather than the folder.
    public static func namesContent(_ path: String) -> Bool { base(path) == "." }

    /// Whether it can only be a folder.
    public static func assertsFolder(_ path: String) -> Bool { path.hasSuffix("/") || namesContent(path) }

    /// The last component, `/` of the root, `.` of nothing.
    public static func base(_ path: String) -> String {
        if path.isEmpty { return "." }
        guard let last = path.split(separator: "/").last else { return "/" }
        return String(last)
    }

    /// The folder (ending in `/`, or empty) and the entry in it that an archive of `path` is made of: `/a/b/` gives
    /// `/a/` and `b`, `/a/b/.` gives `/a/b/` and `.`.
    public static func split(_ path: String) -> (folder: String, name: String) {
        var cleaned = clean(path)
        if namesContent(path), cleaned != "." { cleaned += cleaned.hasSuffix("/") ? "." : "/." }
        guard let slash = cleaned.lastIndex(of: "/") else { return ("", cleaned) }
        return (String(cleaned[...slash]), String(cleaned[cleaned.index(after: slash)...]))
    }

    /// `name` below `folder`, cleaned.
    public static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? clean(name) : clean(folder + "/" + name)
    }
}
