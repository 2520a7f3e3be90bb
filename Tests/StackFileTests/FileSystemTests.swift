import Glibc
import StackModel
import Testing

@testable import StackFile

/// The public entry on real files, in a folder of its own.
struct FileSystemTests {
    private struct SetupFailed: Error {}

    private func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw SetupFailed() }
        fputs(text, file)
        fclose(file)
    }

    @Test func loadsFromAFolder() throws {
        var template = Array("/tmp/stackfile-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SetupFailed() }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let names = ["compose.yaml", "a.env", "secret"]
        defer {
            for name in names { unlink(folder + "/" + name) }
            rmdir(folder)
        }
        let text =
            "services: {web: {image: a, env_file: a.env, secrets: [s]}}\nsecrets: {s: {file: secret}}\n"
        try write(text, to: folder + "/compose.yaml")
        try write("A=1\n", to: folder + "/a.env")
        try write("top", to: folder + "/secret")

        let loaded = try loadStack(LoadOptions(workingDirectory: folder, environment: [:]))
        #expect(loaded.stack.configFiles == [folder + "/compose.yaml"])
        #expect(loaded.stack.services["web"]?.environment == ["A": "1"])
        #expect(loaded.stack.secrets["s"]?.content == Array("top".utf8))
        #expect(loaded.stack.source(of: "services.web")?.description == "compose.yaml:1:12")

        var elsewhere = LoadOptions(workingDirectory: "/", environment: [:])
        elsewhere.files = [folder]
        #expect(throws: StackFileError.self) { try loadStack(elsewhere) }
        #expect(throws: FileProblem.tooLarge(bytesMax: 2)) { try FileAccess.system.read(folder + "/secret", 2) }
        #expect(throws: FileProblem.failed(EISDIR)) { try FileAccess.system.read(folder, 2) }
        #expect(throws: FileProblem.tooLarge(bytesMax: 9)) { try FileAccess.system.read("/dev/zero", 9) }
        #expect(throws: FileProblem.missing) { try FileAccess.system.read(folder + "/none", 2) }
    }

    @Test func pipesAreReadAndNotWaitedForWithoutEnd() throws {
        var template = Array("/tmp/stackfile-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SetupFailed() }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let pipe = folder + "/pipe"
        defer {
            unlink(pipe)
            rmdir(folder)
        }
        guard mkfifo(pipe, 0o600) == 0 else { throw SetupFailed() }
        // Nobody writes.
        #expect(try FileAccess.system.read(pipe, 10) == [])
        let writer = open(pipe, O_RDWR)
        defer { close(writer) }
        let text: [UInt8] = Array("services:".utf8)
        #expect(Glibc.write(writer, text, text.count) == text.count)
        // The writer keeps it open and is silent.
        #expect(throws: FileProblem.silent(milliseconds: 50)) {
            try readWhole(pipe, bytesMax: 100, silenceMax: 50)
        }
    }
}
