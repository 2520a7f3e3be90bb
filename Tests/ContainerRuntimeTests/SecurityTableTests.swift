import CLinux
import Glibc
import LinuxSystem
import Testing

@testable import ContainerRuntime

extension KernelTests {
    /// Our column of the table in docs/security.md: Security/probe.sh in a default container.
    @Suite struct SecurityTableTests {
        private static let folder = "\(FileSystem.parent(of: #filePath))/Security"
        /// The checkout, wherever the sources are linked from.
        private static let root: String = {
            guard let path = realpath(FileSystem.parent(of: #filePath), nil) else { return "" }
            defer { free(path) }
            return FileSystem.parent(of: FileSystem.parent(of: String(cString: path)))
        }()

        /// Whoever starts the engine decides about these.
        private static let inherited: Set<String> = [
            "limit of open files", "limit of core files", "limit of locked memory", "oom_score_adj",
        ]

        /// `GANTRY_WRITE_SECURITY_TABLE=1` writes the expectation anew.
        @Test func defaultContainerIsAsDocumented() throws {
            let lines = try probe()
            let path = "\(Self.folder)/gantry.txt"
            if getenv("GANTRY_WRITE_SECURITY_TABLE") != nil {
                let text = lines.map { "\($0.name): \($0.value)".trimmingEnd() + "\n" }.joined()
                try FileSystem.replaceFile(path, with: Array(text.utf8), mode: 0o644)
            }
            let expected = Self.parse(String(decoding: try FileSystem.readFile(path), as: UTF8.self))
            for (name, value) in lines where !Self.inherited.contains(name) {
                // Another kernel may have what this one has not, but then it is hidden.
                let isGone = { (state: String?) in state == "absent" || state == "hidden" }
                #expect(expected[name] == value || isGone(expected[name]) && isGone(value), "\(name)")
            }
            #expect(Set(expected.keys) == Set(lines.map(\.name)))
        }

        private func probe() throws -> [(name: String, value: String)] {
            let script = try FileSystem.readFile("\(Self.folder)/probe.sh")
            let calls = try FileSystem.readFile(Programs.path("calls"))
            let container = try TestHost.shared.container(["/bin/busybox", "sh", "/probe.sh"]) { layer in
                try FileSystem.replaceFile("\(layer)/probe.sh", with: script, mode: 0o644)
                try FileSystem.replaceFile("\(layer)/calls", with: calls, mode: 0o755)
                chmod("\(layer)/calls", 0o755)
            }
            var links: [String] = []
            for name in try FileSystem.list("/proc/self/ns") {
                var buffer = [CChar](repeating: 0, count: 64)
                let count = readlink("/proc/self/ns/\(name)", &buffer, buffer.count)
                links.append(
                    String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
            container.request.spec.process.env.append("HOST_NAMESPACES=\(links.joined(separator: " "))")
            // As the engine's processes have it, whatever limits the tests themselves run with.
            let result = try container.run()
            #expect(result.code == 0)
            return result.output.split(separator: "\n").map { Self.split($0) }
        }

        private static func split(_ line: Substring) -> (name: String, value: String) {
            var rest = line
            while let colon = rest.firstIndex(of: ":") {
                let after = line[line.index(after: colon)...]
                if after.isEmpty || after.first == " " {
                    return (String(line[..<colon]), String(after).trimmed())
                }
                rest = after
            }
            return (String(line), "")
        }

        private static func parse(_ text: String) -> [String: String] {
            var rows: [String: String] = [:]
            for line in text.split(separator: "\n") {
                let (name, value) = split(line)
                rows[name] = value
            }
            return rows
        }

        /// Every test that docs/security.md names is there.
        @Test func documentedTestsExist() throws {
            let text = String(decoding: try FileSystem.readFile("\(Self.root)/docs/security.md"), as: UTF8.self)
            var sources = ""
            for folder in try FileSystem.list("\(Self.root)/Tests") {
                let path = "\(Self.root)/Tests/\(folder)"
                for file in try FileSystem.list(path) where file.hasSuffix(".swift") || file.hasSuffix(".py") {
                    sources += String(decoding: try FileSystem.readFile("\(path)/\(file)"), as: UTF8.self)
                }
            }
            var count = 0
            for word in text.split(separator: "`") where word.hasSuffix("()") && !word.contains(".") {
                count += 1
                let isThere = sources.contains("func \(word.dropLast(2))(")
                #expect(isThere, "\(word)")
            }
            for word in text.split(separator: "`") where word.hasPrefix("test_") && !word.contains(".") {
                let isThere = sources.contains("def \(word)(")
                #expect(isThere, "\(word)")
            }
            #expect(count > 40)
        }
    }
}

extension String {
    fileprivate func trimmed() -> String { String(drop { $0 == " " }).trimmingEnd() }

    fileprivate func trimmingEnd() -> String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
