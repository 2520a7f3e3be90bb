import Glibc
import StackModel
import Testing

@testable import StackFile

/// Files that people get wrong, and what they are told. `GANTRY_UPDATE_SNAPSHOTS=1` rewrites the expectations.
struct BrokenFilesTests {
    static let folder = sourceFolder() + "/Broken"

    @Test(arguments: folderNames(folder))
    func diagnostics(name: String) throws {
        let folder = Self.folder + "/" + name
        let text = renderDiagnostics(diagnostics(in: folder), .text, color: false).replacing(folder + "/", with: "")
        let rendered = text.isEmpty ? "no diagnostics\n" : text
        let path = folder + "/expected.txt"
        if getenv("GANTRY_UPDATE_SNAPSHOTS") != nil { try write(rendered, to: path) }
        let expected = try String(decoding: FileAccess.system.read(path, 1024 * 1024), as: UTF8.self)
        #expect(rendered == expected, "expected:\n\(expected)\nfound:\n\(rendered)")
    }

    @Test func thereAreEnough() { #expect(folderNames(Self.folder).count >= 30) }

    private func diagnostics(in folder: String) -> [Diagnostic] {
        let options = LoadOptions(workingDirectory: folder, environment: ["HOME": "/home/me"])
        do throws(StackFileError) {
            return try loadStack(options).warnings
        } catch {
            return error.diagnostics
        }
    }
}
