/// What a build is asked for besides the Dockerfile.
public struct BuildOptions: Equatable, Sendable {
    /// A stage's name or number; `nil` for the last.
    public var target: String?
    /// `--build-arg`.
    public var arguments: [String: String] = [:]
    /// What is built for.
    public var platform: Platform
    /// What builds.
    public var buildPlatform: Platform
    /// Names of contexts besides the main one, which stand before images and replace stages.
    public var contexts: Set<String> = []
    /// For `CopyIgnoredFile`.
    public var ignore: IgnorePatterns?

    public init(platform: Platform) {
        self.platform = platform
        buildPlatform = platform
    }

    /// Proxy arguments that were given, which RUN gets without ARG: they are not part of the cache's key, of the
    /// history or of the image. Both spellings of each.
    public var proxyEnvironment: [String] {
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"]
        return names.flatMap { name -> [String] in
            guard let value = arguments[name] ?? arguments[name.lowercased()] else { return [] }
            return ["\(name)=\(value)", "\(name.lowercased())=\(value)"]
        }
    }

    /// The arguments that are there without being declared, for FROM and for stages that declare them.
    func predefined(targetName: String) -> Variables {
        let defaults = [
            ("BUILDPLATFORM", buildPlatform.description), ("BUILDOS", buildPlatform.system), ("BUILDOSVERSION", ""),
            ("BUILDARCH", buildPlatform.architecture), ("BUILDVARIANT", buildPlatform.variant),
            ("TARGETPLATFORM", platform.description), ("TARGETOS", platform.system), ("TARGETOSVERSION", ""),
            ("TARGETARCH", platform.architecture), ("TARGETVARIANT", platform.variant), ("TARGETSTAGE", targetName),
        ]
        var result = Variables()
        for (name, value) in defaults { result[name] = arguments[name] ?? value }
        return result
    }
}
