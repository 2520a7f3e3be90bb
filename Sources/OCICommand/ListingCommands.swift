import ArgumentParser
import CLinux
import ContainerRuntime
import Glibc
import LinuxSystem

enum ListFormat: String, CaseIterable, ExpressibleByArgument { case table, json }

struct ListCommand: OCICommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List containers.")

    @Option(name: [.short, .long], help: "table or json.")
    var format = ListFormat.table

    @Flag(name: [.short, .long], help: "Ids only.")
    var quiet = false

    func run(_ context: Context) throws {
        let ids = try StoredContainer.ids(root: context.root)
        if quiet { return ids.forEach { print($0) } }
        let runtime = try context.runtime()
        var reports: [StateReport] = []
        for id in ids {
            do {
                let container = try context.container(id)
                let (status, pid) = try container.status(runtime)
                reports.append(StateReport(container.facts, status: status, pid: pid))
            } catch {
                // Deleted meanwhile, or damaged: the others are listed all the same.
                if FileSystem.exists("\(context.root)/\(id)") { context.warn(["container '\(id)': \(error)"]) }
            }
        }
        switch format {
        case .json: print(try JSON.encode(reports, pretty: false))
        case .table: print(Self.table(reports), terminator: "")
        }
    }

    static func table(_ reports: [StateReport]) -> String {
        var rows = [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
        for report in reports {
            rows.append([report.id, "\(report.pid)", report.status, report.bundle, report.created, report.owner])
        }
        return TextTable.text(rows)
    }
}

enum TextTable {
    private static let gap = 3

    /// Columns as wide as their widest cell.
    static func text(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            row.enumerated().map { index, cell in
                index == row.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[index] - cell.count + gap)
            }.joined() + "\n"
        }.joined()
    }
}

struct PsCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "List a container's processes.",
        usage: "gantry-oci ps [<options>] <container> [<ps options> ...]")

    @Option(name: [.short, .long], help: "table or json.")
    var format = ListFormat.table

    @Argument(parsing: .captureForPassthrough, help: "Container, and options for ps(1) (default: -ef).")
    var words: [String]

    func run(_ context: Context) throws {
        guard let id = words.first else { throw OCIError("ps needs a container") }
        let container = try context.container(id)
        let processes = try context.runtime().processes(directory: container.directory).sorted()
        if format == .json { return print(try JSON.encode(processes, pretty: false)) }
        var options = Array(words.dropFirst())
        if options.first == "--" { options.removeFirst() }
        let output = try Command.output(["ps"] + (options.isEmpty ? ["-ef"] : options))
        print(try Self.select(processes, from: output), terminator: "")
    }

    /// The lines of ps(1)'s output that are about these processes, with its head.
    static func select(_ processes: [Int32], from output: String) throws(OCIError) -> String {
        let lines = output.split(separator: "\n")
        guard let head = lines.first,
            let column = head.split(separator: " ").firstIndex(of: "PID")
        else { throw OCIError("ps does not list a PID") }
        let wanted = Set(processes)
        let kept = lines.dropFirst().filter { line in
            let cells = line.split(separator: " ")
            guard column < cells.count, let pid = Int32(cells[column]) else { return false }
            return wanted.contains(pid)
        }
        return ([head] + kept).map { "\($0)\n" }.joined()
    }
}

enum Command {
    private static let outputByteCountMax = 16 << 20

    /// A program's standard output, from `PATH`.
    static func output(_ words: [String]) throws -> String {
        var ends: [Int32] = [-1, -1]
        try check("pipe2") { pipe2(&ends, O_CLOEXEC) }
        let output = FileDescriptor(owning: ends[0])
        let input = ends[1]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDOUT_FILENO)
        let arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let code = posix_spawnp(&pid, words[0], &actions, nil, arguments, gantry_environment())
        close(input)
        guard code == 0 else { throw SystemError("execve", path: words[0], code: code) }
        let bytes = try output.readAll(byteCountMax: outputByteCountMax)
        var status: Int32 = 0
        try check("waitpid") { waitpid(pid, &status, 0) }
        guard status == 0 else { throw OCIError("\(words.joined(separator: " ")) failed") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
