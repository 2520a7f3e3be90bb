/// An OCI image configuration (image-spec `config.md`), with Docker's additions. What an image leaves out is empty.
public struct ImageConfig: Codable, Equatable, Sendable {
    public var architecture: String
    public var os: String
    public var variant: String?
    /// RFC 3339; see `createdSeconds`.
    public var created: String?
    public var author: String?
    /// Of an image that was made from a container: its id, and name and id of the image it ran from.
    public var container: String?
    public var containerConfig: ContainerOrigin?
    public var parent: String?
    /// What a container of this image runs with unless told otherwise.
    public var config: ContainerDefaults
    public var rootfs: RootFS
    public var history: [History]

    enum CodingKeys: String, CodingKey {
        case architecture, os, variant, created, author, container, parent, config, rootfs, history
        case containerConfig = "container_config"
    }

    /// What we keep of Docker's `container_config`.
    public struct ContainerOrigin: Codable, Equatable, Sendable {
        public var image: String?

        enum CodingKeys: String, CodingKey { case image = "Image" }

        public init(image: String?) { self.image = image }
    }

    /// `rootfs` of the configuration: the layers, bottom first, by the digest of their uncompressed tar.
    public struct RootFS: Codable, Equatable, Sendable {
        public var type: String
        public var diffIDs: [Digest]

        enum CodingKeys: String, CodingKey {
            case type
            case diffIDs = "diff_ids"
        }

        public init(diffIDs: [Digest]) {
            type = "layers"
            self.diffIDs = diffIDs
        }

        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            type = try values.decodeIfPresent(String.self, forKey: .type) ?? "layers"
            diffIDs = try values.decodeIfPresent([Digest].self, forKey: .diffIDs) ?? []
        }
    }

    /// One step of the image's making.
    public struct History: Codable, Equatable, Sendable {
        public var created: String?
        public var createdBy: String?
        public var author: String?
        public var comment: String?
        public var emptyLayer: Bool?

        enum CodingKeys: String, CodingKey {
            case created, author, comment
            case createdBy = "created_by"
            case emptyLayer = "empty_layer"
        }

        public init() {}

        /// `created` in seconds since 1970; 0 when it is missing or not a date.
        public var createdSeconds: Int64 { created.flatMap(parseRFC3339) ?? 0 }
    }

    public init(
        architecture: String, os: String, created: String? = nil, config: ContainerDefaults = ContainerDefaults(),
        rootfs: RootFS, history: [History] = []
    ) {
        self.architecture = architecture
        self.os = os
        self.created = created
        self.config = config
        self.rootfs = rootfs
        self.history = history
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        architecture = try values.decodeIfPresent(String.self, forKey: .architecture) ?? ""
        os = try values.decodeIfPresent(String.self, forKey: .os) ?? ""
        variant = try values.decodeIfPresent(String.self, forKey: .variant)
        created = try values.decodeIfPresent(String.self, forKey: .created)
        author = try values.decodeIfPresent(String.self, forKey: .author)
        container = try values.decodeIfPresent(String.self, forKey: .container)
        containerConfig = try values.decodeIfPresent(ContainerOrigin.self, forKey: .containerConfig)
        parent = try values.decodeIfPresent(String.self, forKey: .parent)
        config = try values.decodeIfPresent(ContainerDefaults.self, forKey: .config) ?? ContainerDefaults()
        rootfs = try values.decode(RootFS.self, forKey: .rootfs)
        history = try values.decodeIfPresent([History].self, forKey: .history) ?? []
    }

    /// `created` in seconds since 1970; 0 when it is missing or not a date.
    public var createdSeconds: Int64 { created.flatMap(parseRFC3339) ?? 0 }
}

/// The `config` object of an image configuration.
public struct ContainerDefaults: Equatable, Sendable {
    /// `user`, `user:group`, names or numbers; empty is root.
    public var user = ""
    /// `80/tcp`, sorted.
    public var exposedPorts: [String] = []
    /// `NAME=value`, in order.
    public var env: [String] = []
    /// nil and empty differ: an empty list clears what a base image set.
    public var entrypoint: [String]?
    public var cmd: [String]?
    /// Paths, sorted.
    public var volumes: [String] = []
    public var workingDir = ""
    public var labels: [String: String] = [:]
    /// A signal's name or number; nil is SIGTERM.
    public var stopSignal: String?
    public var healthcheck: Healthcheck?
    public var shell: [String]?
    public var onBuild: [String] = []

    public init() {}

    /// Docker's `HEALTHCHECK`; durations in nanoseconds, nil is Docker's default.
    public struct Healthcheck: Codable, Equatable, Sendable {
        /// `["NONE"]`, `["CMD", program, argument…]` or `["CMD-SHELL", command]`.
        public var test: [String]?
        public var interval: Int64?
        public var timeout: Int64?
        public var retries: Int?
        public var startPeriod: Int64?
        public var startInterval: Int64?

        enum CodingKeys: String, CodingKey {
            case test = "Test"
            case interval = "Interval"
            case timeout = "Timeout"
            case retries = "Retries"
            case startPeriod = "StartPeriod"
            case startInterval = "StartInterval"
        }

        public init(
            test: [String]?, interval: Int64? = nil, timeout: Int64? = nil, retries: Int? = nil,
            startPeriod: Int64? = nil, startInterval: Int64? = nil
        ) {
            self.test = test
            self.interval = interval
            self.timeout = timeout
            self.retries = retries
            self.startPeriod = startPeriod
            self.startInterval = startInterval
        }
    }
}

extension ContainerDefaults: Codable {
    enum CodingKeys: String, CodingKey {
        case user = "User"
        case exposedPorts = "ExposedPorts"
        case env = "Env"
        case entrypoint = "Entrypoint"
        case cmd = "Cmd"
        case volumes = "Volumes"
        case workingDir = "WorkingDir"
        case labels = "Labels"
        case stopSignal = "StopSignal"
        case healthcheck = "Healthcheck"
        case shell = "Shell"
        case onBuild = "OnBuild"
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        user = try values.decodeIfPresent(String.self, forKey: .user) ?? ""
        exposedPorts = try values.decodeIfPresent([String: Empty?].self, forKey: .exposedPorts)?.keys.sorted() ?? []
        env = try values.decodeIfPresent([String].self, forKey: .env) ?? []
        entrypoint = try values.decodeIfPresent(WordOrList.self, forKey: .entrypoint)?.words
        cmd = try values.decodeIfPresent(WordOrList.self, forKey: .cmd)?.words
        volumes = try values.decodeIfPresent([String: Empty?].self, forKey: .volumes)?.keys.sorted() ?? []
        workingDir = try values.decodeIfPresent(String.self, forKey: .workingDir) ?? ""
        labels = try values.decodeIfPresent([String: String].self, forKey: .labels) ?? [:]
        stopSignal = try values.decodeIfPresent(String.self, forKey: .stopSignal).flatMap { $0.isEmpty ? nil : $0 }
        healthcheck = try values.decodeIfPresent(Healthcheck.self, forKey: .healthcheck)
        shell = try values.decodeIfPresent([String].self, forKey: .shell)
        onBuild = try values.decodeIfPresent([String].self, forKey: .onBuild) ?? []
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        func set(_ names: [String]) -> [String: Empty]? {
            names.isEmpty ? nil : Dictionary(names.map { ($0, Empty()) }, uniquingKeysWith: { first, _ in first })
        }
        try values.encode(user, forKey: .user)
        try values.encodeIfPresent(set(exposedPorts), forKey: .exposedPorts)
        try values.encode(env, forKey: .env)
        try values.encodeIfPresent(entrypoint, forKey: .entrypoint)
        try values.encodeIfPresent(cmd, forKey: .cmd)
        try values.encodeIfPresent(set(volumes), forKey: .volumes)
        try values.encode(workingDir, forKey: .workingDir)
        try values.encode(labels, forKey: .labels)
        try values.encodeIfPresent(stopSignal, forKey: .stopSignal)
        try values.encodeIfPresent(healthcheck, forKey: .healthcheck)
        try values.encodeIfPresent(shell, forKey: .shell)
        if !onBuild.isEmpty { try values.encode(onBuild, forKey: .onBuild) }
    }

    /// JSON's `{}`, the value of Go's set types.
    private struct Empty: Codable {}

    /// Old Docker wrote a command of one word as a plain string.
    private struct WordOrList: Decodable {
        let words: [String]
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            do {
                words = try container.decode([String].self)
            } catch DecodingError.typeMismatch {
                words = [try container.decode(String.self)]
            }
        }
    }
}

/// Seconds since 1970 of an RFC 3339 date and time; fractions are dropped, nil when it is none.
func parseRFC3339(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    func number(_ start: Int, _ count: Int) -> Int64? {
        guard start + count <= bytes.count else { return nil }
        let digits = bytes[start..<(start + count)]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
    }
    func isAt(_ index: Int, _ characters: String) -> Bool {
        index < bytes.count && characters.utf8.contains(bytes[index])
    }
    guard let year = number(0, 4), isAt(4, "-"), let month = number(5, 2), isAt(7, "-"), let day = number(8, 2),
        isAt(10, "Tt "), let hour = number(11, 2), isAt(13, ":"), let minute = number(14, 2), isAt(16, ":"),
        let second = number(17, 2), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
        second <= 60
    else { return nil }
    var index = 19
    if isAt(index, ".") {
        index += 1
        while number(index, 1) != nil { index += 1 }
    }
    var offset: Int64 = 0
    if isAt(index, "+-") {
        guard let hours = number(index + 1, 2), isAt(index + 3, ":"), let minutes = number(index + 4, 2),
            bytes.count == index + 6
        else { return nil }
        offset = (hours * 60 + minutes) * (bytes[index] == UInt8(ascii: "-") ? -60 : 60)
    } else {
        guard isAt(index, "Zz"), bytes.count == index + 1 else { return nil }
    }
    return daysSince1970(year: year, month: month, day: day) * 86_400 + hour * 3600 + minute * 60 + second - offset
}

/// Days of the proleptic Gregorian calendar, years counted from March so that the leap day comes last.
private func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
    let marchYear = month <= 2 ? year - 1 : year
    let era = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
    let yearOfEra = marchYear - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
}
