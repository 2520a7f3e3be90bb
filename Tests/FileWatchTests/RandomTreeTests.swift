import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import FileWatch

/// A copy that follows what is told is equal to the tree, whatever happened to it and whenever that was looked at.
@Suite struct RandomTreeTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        /// SplitMix64 (Steele et al., 2014).
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    private let names = ["a", "b", "c", "no", "d.o"]

    private func path(_ random: inout Generator) -> String {
        let count = Int.random(in: 1...4, using: &random)
        return (0..<count).map { _ in names.randomElement(using: &random) ?? "a" }.joined(separator: "/")
    }

    /// Any of these may fail, as the tree happens to be; then nothing has changed.
    private func step(_ playground: Playground, _ random: inout Generator, _ number: Int) {
        let (one, other) = ("root/" + path(&random), "root/" + path(&random))
        do {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...3: try playground.write(one, "\(number)")
            case 4: try playground.folder(one)
            case 5: try playground.remove(one)
            case 6, 7: try playground.move(one, other)
            case 8: try playground.link(one, to: ["a", "..", "/tmp"].randomElement(using: &random) ?? "a")
            default:
                let (root, aside) = ("root", "aside")
                try playground.move(root, aside)
                if Bool.random(using: &random) { try playground.move(aside, root) } else { try playground.folder(root) }
            }
        } catch {
            #expect(error is SystemError)
        }
    }

    /// What a copy of `path` would be.
    private func description(_ path: String) -> String? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return "folder"
        case S_IFLNK:
            var target = [UInt8](repeating: 0, count: 100)
            let count = target.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { readlink(path, $0, buffer.count) } ?? -1
            }
            return "link to \(String(decoding: target.prefix(max(count, 0)), as: UTF8.self))"
        default:
            // Gone meanwhile only by a mistake of the test's, which the comparison shows.
            return (try? FileSystem.readFile(path)).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    private func walk(_ folder: String, _ scope: WatchScope, _ found: inout [String: String]) throws {
        for (name, isFolder) in try FolderListing(folder).entries {
            let path = "\(folder)/\(name)"
            if scope.includes(path) { found[path] = description(path) }
            if isFolder { try walk(path, scope, &found) }
        }
    }

    /// Few and long: the kernel takes a tenth of a second to close an inotify instance.
    @Test(arguments: UInt64(1)...24)
    func theCopyIsEqual(seed: UInt64) throws {
        let playground = try Playground()
        var random = Generator(state: seed)
        try playground.folder("root")
        for number in 0..<5 { step(playground, &random, number) }
        if !FileSystem.exists(playground.at("root")) { try playground.folder("root") }
        let root = playground.at("root")
        let scope = WatchScope(
            root: root, filters: [.ofEditors, try .ignoring(["**/no", "!a/no/c", "**/*.o"], base: root)])
        var tree = try WatchedTree([scope])
        var copy: [String: String] = [:]
        try walk(root, scope, &copy)
        for number in 10..<300 {
            step(playground, &random, number)
            if Int.random(in: 0..<40, using: &random) == 0 {
                try tree.handle([InotifyEvent(watch: -1, mask: UInt32(IN_Q_OVERFLOW), name: nil)])
            }
            // Some events are handled at once, some late, and not all of them are told at once.
            if Int.random(in: 0..<4, using: &random) == 0 { try tree.handle(try tree.inotify.read()) }
            if Int.random(in: 0..<6, using: &random) == 0 { apply(try tree.changes(), to: &copy) }
        }
        if !FileSystem.exists(root) { try playground.folder("root") }
        apply(try tree.changes(), to: &copy)
        var expected: [String: String] = [:]
        try walk(root, scope, &expected)
        #expect(copy == expected, "seed \(seed)")
        // Nothing is watched that is not there, and nothing is kept of it.
        for (path, folder) in tree.folders where folder.watch != nil {
            #expect(try FileStamp(path, followsLink: path == root)?.isFolder == true, "seed \(seed): \(path)")
        }
        #expect(try tree.changes().isEmpty)
    }

    private func apply(_ changes: FileChanges, to copy: inout [String: String]) {
        for path in changes.removed { copy = copy.filter { !isOrIsBelow($0.key, path) } }
        for path in changes.changed { copy[path] = description(path) }
        #expect(changes.problems.isEmpty)
    }
}
