import CLinux
import Glibc
import LinuxSystem
import SupervisorPlan
import Testing

@testable import ContainerRuntime

extension KernelTests {
    @Suite struct StreamTests {
        private var runtime: Runtime { TestHost.shared.runtime }

        // MARK: - Log

        @Test func logKeepsEveryByte() throws {
            let volume = "\(TestHost.shared.directory)/binary"
            try FileSystem.makeDirectories(volume, mode: 0o755)
            var bytes: [UInt8] = []
            for _ in 0..<40 { bytes += (0...255).map { UInt8($0) } }
            try FileSystem.replaceFile("\(volume)/data", with: bytes, mode: 0o644)
            let container = try TestHost.shared.container(["cat", "/data"])
            container.request.spec.mounts.append(
                .init(destination: "/data", type: "bind", source: "\(volume)/data", options: ["bind"]))
            #expect(try container.run().code == 0)
            var reader = try LogReader(path: container.request.log?.path ?? "")
            var read: [UInt8] = []
            let records = try reader.read()
            for record in records { read += record.bytes + (record.isPartial ? [] : [0x0a]) }
            #expect(read == bytes)
            // No newline at the end of the stream: the last record is a partial one.
            #expect(records.last?.isPartial == true)
        }

        @Test func longLinesAreCutIntoPartialRecords() throws {
            let container = try TestHost.shared.container(["sh", "-c", "head -c 40000 /dev/zero; echo; echo end"])
            #expect(try container.run().code == 0)
            var reader = try LogReader(path: container.request.log?.path ?? "")
            let records = try reader.read()
            #expect(records.map(\.isPartial) == [true, true, false, false])
            #expect(records.map(\.bytes.count) == [16384, 16384, 40000 - 32768, 3])
        }

        @Test func logRotatesWithoutLosingALine() throws {
            let container = try TestHost.shared.container(["sh", "-c", "for i in $(seq 1 3000); do echo line $i; done"])
            container.request.log?.maxBytes = 40_000
            container.request.log?.files = 8
            let path = try #require(container.request.log?.path)
            try container.launch()
            // Follows from the start, while it is written and rotated.
            var reader = try LogReader(path: path, watches: true)
            var lines: [String] = []
            while true {
                let records = try reader.read(byteCountMax: 5000)
                lines += records.map { String(decoding: $0.bytes, as: UTF8.self) }
                guard records.isEmpty else { continue }
                if case .exited = try runtime.inspect(directory: container.request.directory).state {
                    lines += try reader.read().map { String(decoding: $0.bytes, as: UTF8.self) }
                    break
                }
                _ = try reader.wait(milliseconds: 50)
            }
            #expect(lines == (1...3000).map { "line \($0)" })
            #expect(FileSystem.exists("\(path).1"))
            #expect(!FileSystem.exists("\(path).8"))
            for name in try FileSystem.list(FileSystem.parent(of: path)) {
                let size = try FileSystem.readFile("\(FileSystem.parent(of: path))/\(name)").count
                #expect(size <= 40_000)
            }
        }

        @Test(arguments: [(0, 0), (1, 1), (5, 5), (2500, 2500), (9999, 3000)])
        func tailCountsAcrossFiles(tail: Int, expected: Int) throws {
            let container = try TestHost.shared.container(["sh", "-c", "seq 1 3000"])
            container.request.log?.maxBytes = 50_000
            container.request.log?.files = 20
            #expect(try container.run().code == 0)
            var reader = try LogReader(path: container.request.log?.path ?? "", tail: tail)
            let lines = try reader.read(byteCountMax: 1 << 22).map { String(decoding: $0.bytes, as: UTF8.self) }
            #expect(lines == Array((1...3000).map { "\($0)" }.suffix(expected)))
        }

        // MARK: - Attach

        @Test func firstClientMissesNothing() throws {
            let container = try TestHost.shared.container(["sh", "-c", "echo out; echo err >&2; exit 9"])
            let (ours, theirs) = try StreamClient.pair()
            container.request.attach = [theirs]
            try container.launch()
            let client = StreamClient(FileDescriptor(owning: ours))
            try client.read()
            #expect(client.output == "out\n")
            #expect(String(decoding: client.stderr, as: UTF8.self) == "err\n")
            #expect(client.exitCode == 9)
            #expect(try container.wait().code == 9)
        }

        @Test func allClientsBeforeTheStartMissNothing() throws {
            let container = try TestHost.shared.container(["sh", "-c", "read x; echo $x; echo err >&2; exit 9"])
            container.request.stdinOpen = true
            let pairs = try (0..<Int(SupervisorDescriptor.clientsMax)).map { _ in try StreamClient.pair() }
            container.request.attach = pairs.map(\.1)
            try container.launch()
            let clients = pairs.map { StreamClient(FileDescriptor(owning: $0.0)) }
            // Any of them may type.
            try clients[clients.count - 1].send(.stdin, "typed\n")
            for client in clients {
                try client.read()
                #expect(client.output == "typed\n")
                #expect(String(decoding: client.stderr, as: UTF8.self) == "err\n")
                #expect(client.exitCode == 9)
            }
            #expect(try container.wait().code == 9)
        }

        @Test func inputGoesInAndEnds() throws {
            let container = try TestHost.shared.container(["cat"])
            container.request.stdinOpen = true
            let (ours, theirs) = try StreamClient.pair()
            container.request.attach = [theirs]
            try container.launch()
            let client = StreamClient(FileDescriptor(owning: ours))
            let text = (0..<20_000).map { "line \($0)\n" }.joined()
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                try client.socket.writeAll(Frame.encode(.stdin, Array(rest.prefix(4000))))
                rest = rest.dropFirst(4000)
                try client.read { _ in true }
            }
            try client.send(.closeStdin)
            try client.read()
            #expect(client.exitCode == 0)
            #expect(client.output == text)
        }

        @Test func laterClientsAttachBySocket() throws {
            let container = try TestHost.shared.container(["cat"])
            container.request.stdinOpen = true
            try container.launch()
            let first = StreamClient(try runtime.attach(directory: container.request.directory))
            let second = StreamClient(try runtime.attach(directory: container.request.directory))
            // Whoever has been answered is attached.
            try first.send(.stdin, "a\n")
            try first.read { $0.output.hasSuffix("a\n") }
            try second.send(.stdin, "b\n")
            try second.read { $0.output.hasSuffix("b\n") }
            try first.read { $0.output.hasSuffix("b\n") }
            #expect(first.output == "a\nb\n")
            try first.send(.closeStdin)
            try first.read()
            try second.read()
            #expect((first.exitCode, second.exitCode) == (0, 0))
            #expect(try container.wait().code == 0)
            #expect(throws: RuntimeError.notRunning(directory: container.request.directory)) {
                _ = try runtime.attach(directory: container.request.directory)
            }
        }

        @Test func attachSocketIsPrivate() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            try container.launch()
            var status = stat()
            #expect(lstat("\(container.request.directory)/attach.sock", &status) == 0)
            #expect(status.st_mode & 0o777 & 0o077 == 0)
            #expect(lstat(container.request.directory, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o700)
        }

        @Test func clientThatDoesNotReadIsDropped() throws {
            let container = try TestHost.shared.container(["sh", "-c", "yes | head -c 3000000; echo done >&2"])
            let (ours, theirs) = try StreamClient.pair()
            container.request.attach = [theirs]
            container.request.log = nil
            let client = FileDescriptor(owning: ours)
            try container.launch()
            #expect(try container.wait().code == 0)
            #expect(client.raw >= 0)
        }

        @Test func clientThatTalksNonsenseIsDropped() throws {
            let container = try TestHost.shared.container(["sleep", "60"])
            try container.launch()
            let client = StreamClient(try runtime.attach(directory: container.request.directory))
            try client.socket.writeAll([UInt8](repeating: 0xff, count: 64))
            try client.read()
            #expect(client.hasEnded)
            guard case .running = try runtime.inspect(directory: container.request.directory).state else {
                Issue.record("the container ended")
                return
            }
        }

        // MARK: - Terminal

        @Test func terminalIsTheContainersOwn() throws {
            let container = try TestHost.shared.container([
                "sh", "-c",
                "tty; stty size; test -c /dev/console && echo console; echo err >&2; read x; stty size; echo got $x",
            ])
            container.request.spec.process.terminal = true
            container.request.spec.process.consoleSize = .init(height: 33, width: 99)
            let (ours, theirs) = try StreamClient.pair()
            container.request.attach = [theirs]
            try container.launch()
            let client = StreamClient(FileDescriptor(owning: ours))
            try client.read { $0.output.contains("err\r\n") }
            #expect(client.output.hasPrefix("/dev/pts/0\r\n33 99\r\nconsole\r\nerr\r\n"))
            try client.socket.writeAll(Frame.resize(rows: 40, columns: 120))
            try client.send(.stdin, "hello\n")
            try client.read()
            #expect(client.output.contains("40 120\r\ngot hello\r\n"))
            #expect(client.exitCode == 0)
            #expect(client.stderr == [])
        }

        @Test func terminalBelongsToTheUserAndControls() throws {
            let container = try TestHost.shared.container([
                "sh", "-c", "echo x > /dev/tty; stat -c %u $(tty); sleep 60",
            ])
            container.request.spec.process.terminal = true
            container.request.user = "user"
            container.request.useInit = true
            let (ours, theirs) = try StreamClient.pair()
            container.request.attach = [theirs]
            try container.launch()
            let client = StreamClient(FileDescriptor(owning: ours))
            try client.read { $0.output.contains("1000\r\n") }
            #expect(client.output == "x\r\n1000\r\n")
            // Control-C is a signal for the whole foreground.
            try client.send(.stdin, "\u{3}")
            try client.read()
            #expect(client.exitCode == 130)
        }
    }
}
