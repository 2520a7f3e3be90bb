import StackModel
import Testing

@testable import StackFile

struct DiagnosticCodeTests {
    @Test func everyCodeIsInTheTableAndDocumented() throws {
        let tests = sourceFolder()
        let sources = swiftFiles(tests + "/../../Sources/StackFile")
        #expect(sources.count > 30)
        var used: Set<String> = []
        for file in sources { used.formUnion(codes(in: try text(file))) }
        #expect(used.contains("stack.unknown-key"))
        #expect(used.subtracting(DiagnosticCode.all.map(\.code)).sorted() == [])
        let documentation = try text(tests + "/../../docs/diagnostics.md")
        let documented = documentation.split(separator: "\n").compactMap { line in
            line.hasPrefix("## `") ? line.dropFirst(4).prefix { $0 != "`" } : nil
        }
        #expect(documented.map(String.init) == DiagnosticCode.all.map(\.code))
    }

    @Test func tableIsSortedAndInOneStyle() {
        let all = DiagnosticCode.all
        #expect(all.map(\.code) == all.map(\.code).sorted())
        #expect(DiagnosticCode.table.count == all.count)
        #expect(all.allSatisfy { !$0.summary.hasSuffix(".") && $0.summary.first?.isUppercase == true })
    }

    /// String literals that start with `stack.`.
    private func codes(in source: String) -> [String] {
        source.split(separator: "\"", omittingEmptySubsequences: false).filter { part in
            part.hasPrefix("stack.") && part.dropFirst(6).allSatisfy { $0.isLetter || $0 == "-" } && part.count > 6
        }.map(String.init)
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try FileAccess.system.read(path, 4 * 1024 * 1024), as: UTF8.self)
    }
}
