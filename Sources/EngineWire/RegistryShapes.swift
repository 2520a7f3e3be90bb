// `POST /auth` and `GET /distribution/{name}/json`, in the shapes of the Docker Engine API.

/// Body of `POST /auth`: who, and to which registry.
public struct AuthRequest: Codable, Sendable {
    public var username: String?
    public var password: String?
    public var identitytoken: String?
    public var registrytoken: String?
    /// A host, or an address as old clients write it; empty: Docker Hub.
    public var serveraddress: String?

    public init() {}
}

public struct AuthReply: Codable, Equatable, Sendable {
    public var Status: String
    /// Always empty: the password is what is kept.
    public var IdentityToken: String

    public init(Status: String, IdentityToken: String = "") {
        self.Status = Status
        self.IdentityToken = IdentityToken
    }
}

/// What a tag stands for at its registry.
public struct DistributionReply: Codable, Equatable, Sendable {
    public struct Descriptor: Codable, Equatable, Sendable {
        public var mediaType: String
        public var digest: String
        public var size: Int64

        public init(mediaType: String, digest: String, size: Int64) {
            self.mediaType = mediaType
            self.digest = digest
            self.size = size
        }
    }
    public struct Platform: Codable, Equatable, Sendable {
        public var architecture: String
        public var os: String
        public var variant: String?

        public init(architecture: String, os: String, variant: String?) {
            self.architecture = architecture
            self.os = os
            self.variant = variant
        }
    }

    public var Descriptor: Descriptor
    public var Platforms: [Platform]

    public init(Descriptor: Descriptor, Platforms: [Platform]) {
        self.Descriptor = Descriptor
        self.Platforms = Platforms
    }
}
