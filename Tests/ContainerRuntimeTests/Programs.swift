import Glibc
import LinuxSystem
import Testing

@testable import ContainerRuntime

/// The C programs beside the tests, built statically when first asked for, run inside containers.
enum Programs {
    private static let built: Result<String, SystemError> = {
        let folder = "\(TestHost.shared.directory)/programs"
        let sources = "\(FileSystem.parent(of: #filePath))/Programs"
        do throws(SystemError) {
            try FileSystem.makeDirectories(folder, mode: 0o755)
            for file in try FileSystem.list(sources) where file.hasSuffix(".c") {
                let output = "\(folder)/\(file.dropLast(2))"
                let arguments = ["cc", "-static", "-O1", "-o", output, "\(sources)/\(file)"]
                var strings = arguments.map { strdup($0) } + [nil]
                defer { for string in strings { free(string) } }
                var pid: pid_t = 0
                let code = posix_spawnp(&pid, "cc", nil, nil, &strings, environ)
                guard code == 0 else { throw SystemError("cc", path: file, code: code) }
                var status: Int32 = 0
                waitpid(pid, &status, 0)
                guard status == 0 else { throw SystemError("cc", path: file, code: EINVAL) }
            }
            return .success(folder)
        } catch {
            return .failure(error)
        }
    }()

    static func path(_ name: String) throws -> String { "\(try built.get())/\(name)" }

    /// A container whose image has the program as `/program`.
    static func container(_ name: String, _ arguments: [String] = []) throws -> TestContainer {
        let program = try FileSystem.readFile(path(name))
        return try TestHost.shared.container(["/program"] + arguments) { layer in
            try FileSystem.replaceFile("\(layer)/program", with: program, mode: 0o755)
            chmod("\(layer)/program", 0o755)
        }
    }

    /// Its output's lines, by their first word.
    static func run(
        _ name: String, _ configure: (inout LaunchRequest) throws -> Void = { _ in }
    ) throws -> [String: String] {
        let container = try container(name)
        try configure(&container.request)
        let result = try container.run()
        #expect(result.code == 0)
        var lines: [String: String] = [:]
        for line in result.output.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            lines[words[0]] = words.count > 1 ? words[1] : ""
        }
        return lines
    }
}
