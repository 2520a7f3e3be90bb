import ArgumentParser
import Dispatch
import EngineClient
import Glibc
import LinuxSystem
import Synchronization

/// `gantry dial-stdio`: what `--host ssh://…` runs on the other machine.
struct DialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dial-stdio", abstract: "Connect standard input and output to the engine", shouldDisplay: false)

    @OptionGroup var options: GlobalOptions

    func run() throws {
        let session = Session(options)
        guard try session.host().isLocal else {
            throw CommandFailure.usage("dial-stdio connects to an engine of this machine: --host must be unix://PATH")
        }
        signal(SIGPIPE, SIG_IGN)
        let socket = SharedDescriptor(try session.engine().connect())
        // OWNER: ends with the process, which waits for the other direction alone: with the answer all is said.
        DispatchQueue(label: "gantry-dial").async {
            // The engine has closed its side: the answer says why.
            try? relay(from: STDIN_FILENO, to: socket.raw)
            shutdown(socket.raw, Int32(SHUT_WR))
        }
        try relay(from: socket.raw, to: STDOUT_FILENO)
    }
}

/// Blocks until the source ends.
private func relay(from source: Int32, to target: Int32) throws(SystemError) {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let capacity = buffer.count
        let count = try check("read") { read(source, &buffer, capacity) }
        if count == 0 { return }
        var done = 0
        while done < count {
            done += try check("write") {
                buffer.withUnsafeBytes { write(target, $0.baseAddress.map { $0 + done }, count - done) }
            }
        }
    }
}
