import Images

/// What a step depends on, hashed: every part with its name and length, so that no two lists of parts look alike.
struct StepKey {
    private let hasher = Hasher256()

    /// Changes with the meaning of a step: records of another version are not found.
    private static let version = "gantry-step-1"

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

    /// The key of what a stage starts from: the layers alone, since what else an image says goes into each step.
    static func start(_ layers: [Digest]) -> Digest {
        let key = StepKey(parent: Digest.sha256(of: []), "start")
        key.add("layers", layers.map(\.hex))
        return key.finish()
    }
}
