import CLinux
import Glibc
import LinuxSystem

@testable import FileWatch

/// A folder of the test's own, removed with it.
final class Playground {
    let path: String

    init() throws {
        var template = Array("/tmp/gantry-watch-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    // What is left of a test's folder does no harm.
    deinit { try? FileSystem.removeTree(path) }

    func at(_ name: String) -> String { name.isEmpty ? path : "\(path)/\(name)" }

    func write(_ name: String, _ text: String = "text") throws {
        try folder(FileSystem.parent(of: name))
        let file = try FileDescriptor.open(at(name), O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
        try file.writeAll(Array(text.utf8))
    }

    func folder(_ name: String) throws {
        try FileSystem.makeDirectories(name == "." ? path : at(name), mode: 0o755)
    }

    func move(_ name: String, _ other: String) throws {
        let (old, new) = (at(name), at(other))
        try check("rename", path: old) { rename(old, new) }
    }

    func remove(_ name: String) throws { try FileSystem.removeTree(at(name)) }

    func link(_ name: String, to target: String) throws {
        let path = at(name)
        try check("symlink", path: path) { symlink(target, path) }
    }
}

extension WatchedTree {
    /// Without a thread: what has happened so far.
    mutating func changes() throws -> FileChanges {
        while true {
            let events = try inotify.read()
            if events.isEmpty { return take() }
            try handle(events)
        }
    }

    func isWatching(_ path: String) -> Bool { folders[path]?.watch != nil }
}

extension FileChanges {
    /// Paths counted from the playground, `+` changed and `-` removed, without what has gone with its folder.
    func short(_ playground: Playground) -> [String] {
        (topmost(of: removed).map { "-" + (pathBelow(playground.path, $0) ?? $0) }
            + changed.map { "+" + (pathBelow(playground.path, $0) ?? $0) }).sorted()
    }
}
