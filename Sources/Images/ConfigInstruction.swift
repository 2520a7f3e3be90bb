/// A Dockerfile instruction that changes what containers of an image run with, as `commit --change` takes them
/// (Dockerfile reference): CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR.
public struct ConfigInstruction: Sendable {
    private let name: String
    private let rest: String

    /// - Throws: `ImageError.unsupported` with the reason.
    public init(parsing text: String) throws(ImageError) {
        let trimmed = Self.trimmed(text)
        let word = trimmed.prefix { $0 != " " && $0 != "\t" }
        name = word.uppercased()
        rest = Self.trimmed(trimmed.dropFirst(word.count))
        guard !rest.isEmpty else { throw .unsupported("change '\(text)': \(name) needs an argument") }
    }

    public func apply(to config: inout ContainerDefaults) throws(ImageError) {
        switch name {
        case "CMD": config.cmd = try command(config)
        case "ENTRYPOINT":
            config.entrypoint = try command(config)
            // A command of the base image is none for another program.
            config.cmd = nil
        case "ENV":
            for (key, value) in try pairs() {
                config.env.removeAll { $0.prefix { $0 != "=" } == key[...] }
                config.env.append("\(key)=\(value)")
            }
        case "LABEL": for (key, value) in try pairs() { config.labels[key] = value }
        case "EXPOSE": try expose(in: &config)
        case "VOLUME":
            let paths: [String]
            if let listed = try jsonWords() { paths = listed } else { paths = try words(rest) }
            config.volumes = Array(Set(config.volumes).union(paths)).sorted()
        case "USER": config.user = rest
        case "WORKDIR":
            config.workingDir =
                rest.hasPrefix("/") ? CopyPath.clean(rest) : CopyPath.join("/" + config.workingDir, rest)
        case "STOPSIGNAL": config.stopSignal = rest
        case "ONBUILD": config.onBuild.append(rest)
        case "HEALTHCHECK": config.healthcheck = try healthcheck(config)
        default:
            throw .unsupported("\(name) is no instruction that changes an image's configuration")
        }
    }

    // MARK: - Arguments

    private func command(_ config: ContainerDefaults) throws(ImageError) -> [String] {
        if let words = try jsonWords() { return words }
        return (config.shell ?? ["/bin/sh", "-c"]) + [rest]
    }

    private func expose(in config: inout ContainerDefaults) throws(ImageError) {
        for word in try words(rest) {
            let parts = word.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let transport = parts.count > 1 ? parts[1].lowercased() : "tcp"
            let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            guard ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last,
                ["tcp", "udp", "sctp"].contains(transport)
            else { throw .unsupported("EXPOSE: '\(word)' is no port") }
            config.exposedPorts = Set(config.exposedPorts + (first...last).map { "\($0)/\(transport)" }).sorted()
        }
    }

    private func healthcheck(_ config: ContainerDefaults) throws(ImageError) -> ContainerDefaults.Healthcheck {
        if rest.uppercased() == "NONE" { return .init(test: ["NONE"]) }
        guard rest.uppercased().hasPrefix("CMD ") else {
            throw .unsupported("HEALTHCHECK without NONE or CMD, or with options")
        }
        let text = Self.trimmed(rest.dropFirst(4))
        var check = config.healthcheck ?? .init(test: nil)
        check.test = try Self.jsonWords(text).map { ["CMD"] + $0 } ?? ["CMD-SHELL", text]
        return check
    }

    /// `A=1 B="two words"`, or the old form `A all the rest`.
    private func pairs() throws(ImageError) -> [(String, String)] {
        let words = try words(rest)
        guard words.first?.contains("=") == true else {
            let key = rest.prefix { $0 != " " }
            let value = Self.trimmed(rest.dropFirst(key.count))
            guard !value.isEmpty else { throw .unsupported("\(name) '\(rest)': NAME=VALUE is expected") }
            return [(String(key), value)]
        }
        var found: [(String, String)] = []
        for word in words {
            guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
                throw .unsupported("\(name) '\(word)': NAME=VALUE is expected")
            }
            found.append((String(word[..<equals]), String(word[word.index(after: equals)...])))
        }
        return found
    }

    /// Words between blanks; quotes and backslashes hold them together.
    private func words(_ text: String) throws(ImageError) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in text {
            if isEscaped {
                word = (word ?? "") + (quote != nil && character != quote && character != "\\" ? "\\" : "")
                word?.append(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word?.append(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character == " " || character == "\t" {
                if let complete = word { words.append(complete) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else { throw .unsupported("\(name) '\(text)': a quote is not closed") }
        if let complete = word { words.append(complete) }
        return words
    }

    private func jsonWords() throws(ImageError) -> [String]? { try Self.jsonWords(rest) }

    /// `["program", "argument"]`; nil when it is no JSON list, as Docker takes it for a shell's text then.
    private static func jsonWords(_ text: String) throws(ImageError) -> [String]? {
        guard text.hasPrefix("[") else { return nil }
        do {
            return try decodeJSON([String].self, Array(text.utf8), what: "a list of words")
        } catch {
            return nil
        }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var slice = Substring(text)
        while let first = slice.first, first.isWhitespace { slice.removeFirst() }
        while let last = slice.last, last.isWhitespace { slice.removeLast() }
        return String(slice)
    }
}
