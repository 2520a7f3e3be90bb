import Glibc

/// The options before the command's name. They are taken by hand: the parser would go through every command for them,
/// which takes longer than a container's start.
struct GlobalOptions: Equatable {
    enum CgroupManager: String { case cgroupfs, disabled }

    var root: String?
    var log: String?
    var logFormat = Log.Format.text
    var debug = false
    var cgroupManager = CgroupManager.cgroupfs
    var rootless = "auto"
    var version = false

    static func take(from arguments: [String]) throws(OCIError) -> (GlobalOptions, [String]) {
        var options = GlobalOptions()
        var rest = arguments[...]
        while let word = rest.first, word.hasPrefix("-"), word != "-", word != "--" {
            if ["-h", "--help", "-help"].contains(word) { break }
            rest.removeFirst()
            let parts = word.drop { $0 == "-" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let given = parts.count == 2 ? String(parts[1]) : nil
            if ["debug", "systemd-cgroup", "version", "v"].contains(name) {
                try options.set(flag: name, given.map { $0 != "false" } ?? true)
            } else if let value = given {
                try options.set(name, value, word)
            } else {
                guard isKnown(name) else { throw OCIError("unknown option '\(word)'") }
                guard let value = rest.popFirst() else { throw OCIError("option '\(word)' needs a value") }
                try options.set(name, value, word)
            }
        }
        return (options, Array(rest))
    }

    private static func isKnown(_ name: String) -> Bool {
        ["root", "log", "log-format", "criu", "cgroup-manager", "rootless"].contains(name)
    }

    private mutating func set(flag: String, _ value: Bool) throws(OCIError) {
        switch flag {
        case "debug": debug = value
        case "systemd-cgroup": if value { try refuseSystemd() }
        default: version = value
        }
    }

    private mutating func set(_ name: String, _ value: String, _ word: String) throws(OCIError) {
        switch name {
        case "root": root = value
        case "log": log = value
        case "log-format":
            guard let format = Log.Format(rawValue: value) else { throw OCIError("unknown log format '\(value)'") }
            logFormat = format
        case "cgroup-manager":
            if value == "systemd" { try refuseSystemd() }
            guard let manager = CgroupManager(rawValue: value) else {
                throw OCIError("unknown cgroup manager '\(value)': there are cgroupfs and disabled")
            }
            cgroupManager = manager
        case "rootless":
            guard ["auto", "true", "false"].contains(value) else {
                throw OCIError("--rootless is auto, true or false, not '\(value)'")
            }
            rootless = value
        case "criu": break  // There is no checkpointing that would need it.
        default: throw OCIError("unknown option '\(word)'")
        }
    }

    private func refuseSystemd() throws(OCIError) {
        throw OCIError("cgroups cannot be managed through systemd: use the cgroup manager cgroupfs")
    }

    /// Where containers' folders are.
    func rootDirectory(environment: [String: String], isRoot: Bool) throws(OCIError) -> String {
        if let root {
            guard root.hasPrefix("/") else { return try Paths.absolute(root) }
            return root
        }
        let isRootless = rootless == "true" || rootless == "auto" && !isRoot
        if isRootless, let runtime = environment["XDG_RUNTIME_DIR"], runtime.hasPrefix("/") {
            return "\(runtime)/gantry-oci"
        }
        return "/run/gantry-oci"
    }
}

enum Paths {
    /// `path` seen from the working directory, without links and dots; it has to exist.
    static func real(_ path: String) throws(OCIError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw OCIError("\(path): \(String(cString: strerror(errno)))")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func absolute(_ path: String) throws(OCIError) -> String {
        if path.hasPrefix("/") { return path }
        guard let current = getcwd(nil, 0) else { throw OCIError("the working directory is gone") }
        defer { free(current) }
        return "\(String(cString: current))/\(path)"
    }
}
