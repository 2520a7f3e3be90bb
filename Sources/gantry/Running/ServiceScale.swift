import ArgumentParser
import EngineWire
import StackModel

/// `SERVICE=N` on the command line.
struct ServiceScale: Equatable, Sendable, ExpressibleByArgument {
    /// Containers of one service.
    static let countMax = 10_000

    var service: String
    var count: Int

    init?(argument: String) {
        guard let equals = argument.lastIndex(of: "=") else { return nil }
        let number = argument[argument.index(after: equals)...]
        guard equals != argument.startIndex, number.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let count = Int(number), count <= Self.countMax
        else { return nil }
        service = String(argument[..<equals])
        self.count = count
    }
}

/// The last word on a service counts, as with Docker Compose.
func scaleMap(_ scales: [ServiceScale]) throws(CommandFailure) -> [String: Int] {
    Dictionary(scales.map { ($0.service, $0.count) }) { $1 }
}

/// Seconds of `--timeout` as the API takes them.
func nanoseconds(_ seconds: Int?) throws(CommandFailure) -> Int64? {
    guard let seconds else { return nil }
    let secondsMax = 1_000_000_000
    guard (0...secondsMax).contains(seconds) else { throw .usage("--timeout takes seconds from 0 to \(secondsMax)") }
    return Int64(seconds) * 1_000_000_000
}
