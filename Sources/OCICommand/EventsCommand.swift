import ArgumentParser
import ContainerRuntime
import Glibc
import LinuxSystem

struct EventsCommand: OCICommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Print a container's resource use, once or again and again.")

    @Flag(help: "Once.")
    var stats = false

    @Option(help: "Seconds between two prints.")
    var interval = "5s"

    @Argument var id: String

    private struct Event: Encodable {
        struct Data: Encodable {
            struct CPU: Encodable {
                struct Usage: Encodable { var total: UInt64? }
                var usage: Usage
            }
            struct Memory: Encodable {
                struct Usage: Encodable {
                    var limit: UInt64?
                    var usage: UInt64?
                }
                var cache: UInt64?
                var usage: Usage
            }
            struct PIDs: Encodable {
                var current: UInt64?
                var limit: UInt64?
            }
            var cpu: CPU
            var memory: Memory
            var pids: PIDs
        }
        var type = "stats"
        var id: String
        var data: Data
    }

    func run(_ context: Context) throws {
        let container = try context.container(id)
        let runtime = try context.runtime()
        let pause = try seconds()
        while true {
            print(try line(try runtime.stats(directory: container.directory)))
            if stats { return }
            fflush(nil)
            sleep(pause)
            if try runtime.status(directory: container.directory).pid == 0 { return }
        }
    }

    private func seconds() throws(OCIError) -> UInt32 {
        let digits = interval.hasSuffix("s") ? String(interval.dropLast()) : interval
        guard let seconds = UInt32(digits), seconds > 0 else {
            throw OCIError("'\(interval)' is not a number of seconds")
        }
        return seconds
    }

    private func line(_ stats: CgroupStats) throws -> String {
        try JSON.encode(
            Event(
                id: id,
                data: .init(
                    cpu: .init(usage: .init(total: stats.cpuNanoseconds)),
                    memory: .init(
                        cache: stats.memoryInactiveFile,
                        usage: .init(limit: stats.memoryLimit, usage: stats.memoryUsage)),
                    pids: .init(current: stats.pids, limit: stats.pidsLimit))), pretty: false)
    }
}
