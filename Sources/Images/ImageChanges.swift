import FoundationEssentials

extension ContainerDefaults {
    /// The instructions that `--change` takes.
    public static let changeInstructions = [
        "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "SHELL", "STOPSIGNAL", "USER",
        "VOLUME",
        "WORKDIR",
    ]

    /// Applies one instruction of a Dockerfile, as `docker import --change` and `docker commit --change` take them
    /// (Dockerfile reference). Words in the JSON form are a list, else the rest of the line is for the shell.
    public mutating func apply(change text: String) throws(ImageError) {
        let line = trimmed(text[...])
        let name = line.prefix { $0 != " " && $0 != "\t" }
        let rest = String(trimmed(line.dropFirst(name.count)))
        let instruction = name.uppercased()
        guard Self.changeInstructions.contains(instruction) else {
            let known = Self.changeInstructions.joined(separator: ", ")
            throw .invalidChange(text: text, why: "an instruction is one of \(known)")
        }
        guard !rest.isEmpty else { throw .invalidChange(text: text, why: "\(instruction) needs a value") }
        switch instruction {
        case "CMD": cmd = commandWords(rest)
        case "ENTRYPOINT":
            entrypoint = commandWords(rest)
            // As in a Dockerfile: another entry point does not get the command of the one before.
            cmd = nil
        case "ENV": try setEnvironment(rest, text)
        case "EXPOSE": try expose(rest, text)
        case "HEALTHCHECK": healthcheck = try Self.healthcheck(rest, text)
        case "LABEL": for (key, value) in try Self.pairs(rest, text) { labels[key] = value }
        case "ONBUILD": onBuild.append(rest)
        case "SHELL":
            guard let words = jsonWords(rest) else {
                throw .invalidChange(text: text, why: "SHELL takes a JSON list of words")
            }
            shell = words
        case "STOPSIGNAL": stopSignal = rest
        case "USER": user = rest
        case "VOLUME": volumes = Set(volumes + (jsonWords(rest) ?? changeWords(rest))).sorted()
        default:
            // WORKDIR; a relative one goes on from that before.
            workingDir = rest.hasPrefix("/") ? rest : (workingDir.hasSuffix("/") ? "" : workingDir) + "/" + rest
        }
    }

    private func commandWords(_ rest: String) -> [String] {
        jsonWords(rest) ?? (shell ?? ["/bin/sh", "-c"]) + [rest]
    }

    private mutating func setEnvironment(_ rest: String, _ text: String) throws(ImageError) {
        for (key, value) in try Self.pairs(rest, text) {
            let line = "\(key)=\(value)"
            if let index = env.firstIndex(where: { $0.hasPrefix("\(key)=") }) {
                env[index] = line
            } else {
                env.append(line)
            }
        }
    }

    private mutating func expose(_ rest: String, _ text: String) throws(ImageError) {
        var ports = Set(exposedPorts)
        for word in changeWords(rest) {
            let parts = word.split(separator: "/", omittingEmptySubsequences: false)
            let numbers = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            let transport = parts.count > 1 ? parts[1].lowercased() : "tcp"
            guard parts.count <= 2, (1...2).contains(numbers.count), let first = numbers[0],
                let last = numbers[numbers.count - 1], first <= last, ["tcp", "udp", "sctp"].contains(transport)
            else { throw .invalidChange(text: text, why: "a port is written 80, 80/udp or 8000-8010/tcp") }
            for port in first...last { ports.insert("\(port)/\(transport)") }
        }
        exposedPorts = ports.sorted()
    }

    private static func healthcheck(_ rest: String, _ text: String) throws(ImageError) -> Healthcheck {
        var check = Healthcheck(test: nil)
        var left = rest[...]
        while left.hasPrefix("--") {
            let option = left.prefix { $0 != " " }
            left = trimmed(left.dropFirst(option.count))
            let parts = option.dropFirst(2).split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { throw .invalidChange(text: text, why: "options are written --name=value") }
            let value = String(parts[1])
            switch parts[0] {
            case "interval": check.interval = try nanoseconds(value, text)
            case "timeout": check.timeout = try nanoseconds(value, text)
            case "start-period": check.startPeriod = try nanoseconds(value, text)
            case "start-interval": check.startInterval = try nanoseconds(value, text)
            case "retries":
                guard let count = Int(value), count >= 0 else {
                    throw .invalidChange(text: text, why: "--retries takes a number")
                }
                check.retries = count
            default: throw .invalidChange(text: text, why: "HEALTHCHECK has no option --\(parts[0])")
            }
        }
        if left.uppercased() == "NONE" { return Healthcheck(test: ["NONE"]) }
        guard left.uppercased().hasPrefix("CMD ") else {
            throw .invalidChange(text: text, why: "HEALTHCHECK is followed by CMD or NONE")
        }
        let command = String(trimmed(left.dropFirst("CMD ".count)))
        check.test = jsonWords(command).map { ["CMD"] + $0 } ?? ["CMD-SHELL", command]
        return check
    }

    /// `30s`, `1m30s`, `500ms`.
    private static func nanoseconds(_ value: String, _ text: String) throws(ImageError) -> Int64 {
        let units: [(String, Double)] = [("ms", 1e6), ("us", 1e3), ("ns", 1), ("h", 3600e9), ("m", 60e9), ("s", 1e9)]
        let nanosecondsMax = 1e18
        var total = 0.0
        var left = value[...]
        while !left.isEmpty {
            let number = left.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            left = left.dropFirst(number.count)
            guard let count = Double(number), let unit = units.first(where: { left.hasPrefix($0.0) }) else {
                throw .invalidChange(text: text, why: "a duration is written 30s or 1m30s")
            }
            left = left.dropFirst(unit.0.count)
            total += count * unit.1
        }
        guard total < nanosecondsMax else { throw .invalidChange(text: text, why: "\(value) is too long") }
        return Int64(total)
    }

    /// `key=value …`, or the old `key value`.
    private static func pairs(_ rest: String, _ text: String) throws(ImageError) -> [(String, String)] {
        let words = changeWords(rest)
        guard let first = words.first else { throw .invalidChange(text: text, why: "a value is missing") }
        if !first.contains("=") {
            let name = rest.prefix { $0 != " " && $0 != "\t" }
            let value = trimmed(rest.dropFirst(name.count))
            guard !value.isEmpty else { throw .invalidChange(text: text, why: "write NAME=VALUE") }
            return [(String(name), String(value))]
        }
        var pairs: [(String, String)] = []
        for word in words {
            guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
                throw .invalidChange(text: text, why: "'\(word)' is not NAME=VALUE")
            }
            pairs.append((String(word[..<equals]), String(word[word.index(after: equals)...])))
        }
        return pairs
    }
}

/// Words as a shell splits them: quotes hold them together, a backslash takes the next character as it is.
private func changeWords(_ text: String) -> [String] {
    var words: [String] = []
    var word: String?
    var quote: Character?
    var isEscaped = false
    for character in text {
        if isEscaped {
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
    if let last = word { words.append(last) }
    return words
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
