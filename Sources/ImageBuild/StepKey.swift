import Images

/// What a step depends on, hashed: every part with its name and length, so that no two lists of parts look alike.
struct StepKey {
    private let hasher = Hasher256()

    /// Changes with the meaning of a step: records of another version are not found.
    private static let version = "gantry-step-2"

    init(parent: Digest, _ kind: String) {
        add("version", Self.version)
        add("parent", parent.hex)
        add("kind", kind)
    }

    func add(_ name: String, _ value: String) {
        for text in [name, value] {
            let bytes = Array(text.utf8)
            withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { hasher.update($0) }
            bytes.withUnsafeBytes { hasher.update($0) }
        }
    }

    func add(_ name: String, _ values: [String]) {
        add(name, "\(values.count)")
        for value in values { add(name, value) }
    }

    func add(_ name: String, _ value: String?) { add(name, value.map { [$0] } ?? []) }

    func add(_ name: String, _ value: Bool) { add(name, value ? "1" : "0") }

    /// Call once.
    func finish() -> Digest { hasher.finish() }

    /// The key of what a command made: carried out again it may make something else, and what was made of the one
    /// does not stand on the other.
    static func result(of step: Digest) -> Digest {
        let key = StepKey(parent: step, "result")
        key.add("run", (0..<2).map { _ in "\(UInt64.random(in: 0 ... .max))" })
        return key.finish()
    }

    /// Of a step whose files are no younger than a moment (seconds since 1970): with another moment it makes others.
    static func stamped(_ step: Digest, _ timestamp: Int64?) -> Digest {
        guard let timestamp else { return step }
        let key = StepKey(parent: step, "timestamp")
        key.add("seconds", "\(timestamp)")
        return key.finish()
    }

    /// The key of what a stage starts from: the layers alone, since what else an image says goes into each step.
    static func start(_ layers: [Digest]) -> Digest {
        let key = StepKey(parent: Digest.sha256(of: []), "start")
        key.add("layers", layers.map(\.hex))
        return key.finish()
    }
}
