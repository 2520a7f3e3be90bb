import FoundationEssentials

/// An instruction of a Dockerfile that changes what containers of an image run with, as `docker import --change` and
/// `docker commit --change` take them (Dockerfile reference). Words in the JSON form are a list, else the rest of the
/// line is for the shell.
public struct ConfigInstruction: Sendable {
    private static let names = [
        "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "SHELL", "STOPSIGNAL", "USER",
        "VOLUME",
        "WORKDIR",
    ]

    private let text: String
    private let name: String
    private let rest: String

    /// - Throws: `invalidChange` for an instruction that there is not, or one without a value.
    public init(parsing text: String) throws(ImageError) {
        self.text = text
        let line = trimmed(text[...])
        let word = line.prefix { $0 != " " && $0 != "\t" }
        name = word.uppercased()
        rest = String(trimmed(line.dropFirst(word.count)))
        guard Self.names.contains(name) else {
            throw invalid("an instruction is one of \(Self.names.joined(separator: ", "))")
        }
        guard !rest.isEmpty else { throw invalid("\(name) needs a value") }
    }

    /// - Throws: `invalidChange` with what is wrong in its value.
    public func apply(to config: inout ContainerDefaults) throws(ImageError) {
        switch name {
        case "CMD": config.cmd = command(config)
        case "ENTRYPOINT":
            config.entrypoint = command(config)
            // As in a Dockerfile: another entry point does not get the command of the one before.
            config.cmd = nil
        case "ENV": for (key, value) in try pairs() { config.setEnvironment(key, value) }
        case "EXPOSE": config.exposedPorts = Set(config.exposedPorts + (try ports())).sorted()
        case "HEALTHCHECK": config.healthcheck = try healthcheck()
        case "LABEL": for (key, value) in try pairs() { config.labels[key] = value }
        case "ONBUILD": config.onBuild.append(rest)
        case "SHELL":
            guard let words = jsonWords(rest), !words.isEmpty else { throw invalid("SHELL takes a JSON list of words") }
            config.shell = words
        case "STOPSIGNAL": config.stopSignal = rest
        case "USER": config.user = rest
        case "VOLUME":
            let listed = jsonWords(rest)
            let paths = listed == nil ? try words() : listed ?? []
            config.volumes = Set(config.volumes + paths).sorted()
        default:
            // WORKDIR; a relative one goes on from that before.
            let base = config.workingDir.hasSuffix("/") ? String(config.workingDir.dropLast()) : config.workingDir
            config.workingDir = rest.hasPrefix("/") ? rest : "\(base)/\(rest)"
        }
    }

    private func invalid(_ why: String) -> ImageError { .invalidChange(text: text, why: why) }

    private func command(_ config: ContainerDefaults) -> [String] {
        jsonWords(rest) ?? (config.shell ?? ["/bin/sh", "-c"]) + [rest]
    }

    private func ports() throws(ImageError) -> [String] {
        var ports: [String] = []
        for word in try words() {
            let parts = word.split(separator: "/", omittingEmptySubsequences: false)
            let numbers = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            let transport = parts.count > 1 ? parts[1].lowercased() : "tcp"
            guard parts.count <= 2, (1...2).contains(numbers.count), let first = numbers[0],
                let last = numbers[numbers.count - 1], first <= last, ["tcp", "udp", "sctp"].contains(transport)
            else { throw invalid("a port is written 80, 80/udp or 8000-8010/tcp") }
            ports += (first...last).map { "\($0)/\(transport)" }
        }
        return ports
    }

    private func healthcheck() throws(ImageError) -> ContainerDefaults.Healthcheck {
        var check = ContainerDefaults.Healthcheck(test: nil)
        var left = rest[...]
        while left.hasPrefix("--") {
            let option = left.prefix { $0 != " " }
            left = trimmed(left.dropFirst(option.count))
            let parts = option.dropFirst(2).split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { throw invalid("options are written --name=value") }
            switch parts[0] {
            case "interval": check.interval = try nanoseconds(parts[1])
            case "timeout": check.timeout = try nanoseconds(parts[1])
            case "start-period": check.startPeriod = try nanoseconds(parts[1])
            case "start-interval": check.startInterval = try nanoseconds(parts[1])
            case "retries":
                guard let count = Int(parts[1]), count >= 0 else { throw invalid("--retries takes a number") }
                check.retries = count
            default: throw invalid("HEALTHCHECK has no option --\(parts[0])")
            }
        }
        if left.uppercased() == "NONE" { return ContainerDefaults.Healthcheck(test: ["NONE"]) }
        guard left.uppercased().hasPrefix("CMD ") else { throw invalid("HEALTHCHECK is followed by CMD or NONE") }
        let command = String(trimmed(left.dropFirst("CMD ".count)))
        check.test = jsonWords(command).map { ["CMD"] + $0 } ?? ["CMD-SHELL", command]
        return check
    }

    /// `30s`, `1m30s`, `500ms`.
    private func nanoseconds(_ value: Substring) throws(ImageError) -> Int64 {
        let units: [(String, Double)] = [("ms", 1e6), ("us", 1e3), ("ns", 1), ("h", 3600e9), ("m", 60e9), ("s", 1e9)]
        let nanosecondsMax = 1e18
        var total = 0.0
        var left = value
        while !left.isEmpty {
            let number = left.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            left = left.dropFirst(number.count)
            guard let count = Double(number), let unit = units.first(where: { left.hasPrefix($0.0) }) else {
                throw invalid("a duration is written 30s or 1m30s")
            }
            left = left.dropFirst(unit.0.count)
            total += count * unit.1
        }
        guard total < nanosecondsMax else { throw invalid("\(value) is too long") }
        return Int64(total)
    }

    /// `key=value …`, or the old `key value`.
    private func pairs() throws(ImageError) -> [(String, String)] {
        let words = try words()
        guard words.first?.contains("=") == true else {
            let key = rest.prefix { $0 != " " && $0 != "\t" }
            let value = trimmed(rest.dropFirst(key.count))
            guard !value.isEmpty else { throw invalid("write NAME=VALUE") }
            return [(String(key), String(value))]
        }
        var pairs: [(String, String)] = []
        for word in words {
            guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
                throw invalid("'\(word)' is not NAME=VALUE")
            }
            pairs.append((String(word[..<equals]), String(word[word.index(after: equals)...])))
        }
        return pairs
    }

    /// Words as a shell splits them: quotes hold them together, a backslash takes the next character as it is, but in
    /// double quotes stays unless that is a quote or a backslash.
    private func words() throws(ImageError) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in rest {
            if isEscaped {
                if quote != nil, character != quote, character != "\\" { word = (word ?? "") + "\\" }
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let whole = word { words.append(whole) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else { throw invalid("a quote is not closed") }
        if let last = word { words.append(last) }
        return words
    }
}

extension ContainerDefaults {
    /// In its place when it is there already.
    fileprivate mutating func setEnvironment(_ key: String, _ value: String) {
        let line = "\(key)=\(value)"
        if let index = env.firstIndex(where: { $0.hasPrefix("\(key)=") }) {
            env[index] = line
        } else {
            env.append(line)
        }
    }
}

/// `["a", "b"]`; nil when the text is no such list, and then it is meant for the shell, as Docker takes it.
private func jsonWords(_ text: String) -> [String]? {
    guard text.hasPrefix("[") else { return nil }
    // Not JSON: a command line that begins with a bracket.
    return try? JSONDecoder().decode([String].self, from: Data(text.utf8))
}

private func trimmed(_ text: Substring) -> Substring {
    var rest = text
    while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
    while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
    return rest
}
