/// Which versions in a path's prefix are answered (Docker Engine API, "Versioning"); without one it is the newest.
public struct VersionPolicy: Sendable {
    public var oldest: APIVersion
    public var newest: APIVersion

    public init(oldest: APIVersion, newest: APIVersion) {
        self.oldest = oldest
        self.newest = newest
    }

    /// In the words of Docker's engine, which clients look for; `nil` when the version is spoken. The oldest clients
    /// expect plain text.
    func refusal(of version: APIVersion?) -> HTTPReply? {
        guard let version else { return nil }
        if version > newest {
            return .failure(
                HTTPError(400, "client version \(version) is too new. Maximum supported API version is \(newest)"))
        }
        guard version < oldest else { return nil }
        return .text(
            "client version \(version) is too old. Minimum supported API version is \(oldest), "
                + "please upgrade your client to a newer version\n", status: 400)
    }
}

extension APIVersion: CustomStringConvertible {
    public var description: String { "\(major).\(minor)" }
}

extension HTTPRequest {
    /// Whether the client speaks a version before `1.MINOR`; one that names none speaks the newest.
    func isBelow(minor: Int) -> Bool { version.map { $0 < APIVersion(1, minor) } ?? false }
}
