import EngineClient
import EngineWire
import StackModel

/// How lines of several containers are told apart.
struct LogStyle: Equatable {
    var prefix = true
    var color = false
    /// The output is a terminal: what could do harm there is made visible.
    var terminal = false
}

/// Name of a container before its lines: `web-1` for `shop-web-1`.
func logLabel(_ container: ContainerStatus) -> String {
    let regular = "\(container.stack)-\(container.service)-\(container.number)"
    return container.name == regular ? "\(container.service)-\(container.number)" : container.name
}

/// One line of a log with its prefix, as bytes: what a container writes need not be text.
func renderLogLine(_ line: [UInt8], label: String, width: Int, colour: Colour, style: LogStyle) -> [UInt8] {
    var bytes: [UInt8] = []
    if style.prefix {
        bytes += Array(coloured("\(harmless(label).padded(to: width))  | ", colour, style.color).utf8)
    }
    guard style.terminal else { return bytes + line + [0x0a] }
    let text = harmless(String(decoding: line, as: UTF8.self), .logLine)
    bytes += Array(text.utf8)
    // A colour that the container left on ends with its line.
    if text.contains("\u{1b}[") { bytes += Array("\u{1b}[0m".utf8) }
    return bytes + [0x0a]
}

/// Puts the pieces of a container's output together to lines; output and error do not mix within one.
struct LogLines {
    /// A longer line is cut into several.
    static let lineByteCountMax = 1 << 20

    private var pending: [StreamFrame.Channel: [UInt8]] = [:]

    mutating func feed(_ bytes: [UInt8], _ channel: StreamFrame.Channel) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var line = pending[channel] ?? []
        for byte in bytes {
            if byte == 0x0a {
                if line.last == 0x0d { line.removeLast() }
                lines.append(line)
                line = []
            } else {
                line.append(byte)
                if line.count >= Self.lineByteCountMax {
                    lines.append(line)
                    line = []
                }
            }
        }
        pending[channel] = line
        return lines
    }

    /// Last lines without a newline.
    mutating func finish() -> [(channel: StreamFrame.Channel, line: [UInt8])] {
        defer { pending = [:] }
        return [StreamFrame.Channel.output, .error].compactMap { channel in
            guard let line = pending[channel], !line.isEmpty else { return nil }
            return (channel, line)
        }
    }

    /// The times that unfinished lines begin with.
    var unfinished: [Moment] { pending.values.compactMap { splitTimestamp($0).time } }
}

/// Splits a line that begins with an RFC 3339 time and a blank, as the engine sends it with `timestamps`.
func splitTimestamp(_ line: [UInt8]) -> (time: Moment?, stamp: [UInt8], text: [UInt8]) {
    // An empty line of output ends with the time, its blank cut off or not.
    let stamp = line.prefix(40).prefix { $0 != 0x20 }
    guard let time = Moment(rfc3339: String(decoding: stamp, as: UTF8.self)) else { return (nil, [], line) }
    return (time, Array(stamp), Array(line.dropFirst(stamp.count + 1)))
}
