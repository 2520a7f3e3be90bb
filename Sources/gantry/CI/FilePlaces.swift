/// How files are named for somebody who does not look from where the command ran: from the repository's root.
struct FilePlaces: Equatable, Sendable {
    /// Absolute; file names of diagnostics may be relative to it.
    var workingDirectory: String
    /// Absolute.
    var root: String

    /// - Parameter ci: its workspace is the root; without one it is the working directory.
    init(_ ci: CIEnvironment, workingDirectory: String) {
        self.workingDirectory = workingDirectory
        root = ci.workspace ?? workingDirectory
    }

    func name(_ file: String) -> String {
        relativePath(normal(file.hasPrefix("/") ? file : "\(workingDirectory)/\(file)"), to: normal(root))
    }

    /// Without `.` and `..`; symbolic links are not followed.
    private func normal(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { parts = parts.dropLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }
}
