/// What can differ between what was applied and what there is; docs/drift.md has them all. The raw values are what
/// stack files and reports say.
public enum DriftClass: String, CaseIterable, Codable, CodingKeyRepresentable, Sendable {
    /// An instance has ended and is to run.
    case exited
    /// An instance, or its files, were removed by others.
    case deleted
    /// The processes of an instance were frozen by others.
    case paused
    case unhealthy
    /// The name of an image leads to another one than the instances have.
    case image
    /// The stack file says something else than was applied.
    case stack
    /// The file of a config or a secret has another content than was applied.
    case content
    /// Values in the control files of an instance's cgroups.
    case limits
    /// Bridges, interfaces, addresses and routes.
    case network
    /// The firewall table.
    case firewall
    /// An instance's own resolver.
    case dns
    /// A volume's folder is gone.
    case volume
    case volumeOptions = "volume_options"
    /// Instances of services that the stack does not have.
    case orphan
    /// What others have put on a network of the stack or called by a name of it.
    case foreign
    /// Files and processes of an instance that neither its image nor its definition has.
    case inside
    /// Kernel parameters of the stack's bridges and interfaces.
    case sysctl

    /// What holds where no policy is written.
    public var defaultPolicy: DriftPolicy {
        switch self {
        case .exited, .deleted, .unhealthy, .limits, .network, .firewall, .dns, .sysctl: .repair
        case .paused, .image, .stack, .content, .volume, .volumeOptions, .orphan, .foreign, .inside: .warn
        }
    }

    /// The engine can do something about it by itself.
    public var isRepairable: Bool { defaultPolicy == .repair || self == .paused || self == .orphan }

    /// A policy for everything goes for it; others are removed or let go only where a policy names them.
    fileprivate func takes(_ general: DriftPolicy) -> Bool { general != .repair || defaultPolicy == .repair }
}

/// What is done about a difference between the stack and what runs.
public enum DriftPolicy: String, CaseIterable, Codable, Sendable {
    /// It is nobody's business.
    case ignore
    /// It is reported.
    case warn
    /// It is put right, and reported.
    case repair
}

/// `drift` of a service or a stack: one policy, or one for each class.
public struct DriftPolicies: Codable, Equatable, Sendable {
    /// For the classes that are not named.
    public var general: DriftPolicy?
    @Sparse public var classes: [DriftClass: DriftPolicy] = [:]
    /// Nanoseconds after which what others have frozen is let go.
    public var pausedMax: Int64?

    public init(_ general: DriftPolicy? = nil, classes: [DriftClass: DriftPolicy] = [:]) {
        self.general = general
        self.classes = classes
    }

    private enum CodingKeys: String, CodingKey { case general, classes, pausedMax }

    /// Older engines stored a single word.
    public init(from decoder: any Decoder) throws {
        // A failure is what tells the two apart.
        if let word = try? decoder.singleValueContainer().decode(DriftPolicy.self) {
            general = word
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        general = try container.decodeIfPresent(DriftPolicy.self, forKey: .general)
        _classes = try container.decode(Sparse<[DriftClass: DriftPolicy]>.self, forKey: .classes)
        pausedMax = try container.decodeIfPresent(Int64.self, forKey: .pausedMax)
    }

    func policy(_ kind: DriftClass) -> DriftPolicy? {
        if let named = classes[kind] { return named }
        return general.flatMap { kind.takes($0) ? $0 : nil }
    }
}

extension Stack {
    /// The service's own word counts before the stack's.
    ///
    /// - Parameter service: `nil` for what belongs to no service, such as the firewall.
    public func driftPolicy(_ kind: DriftClass, service: String? = nil) -> DriftPolicy {
        let own = service.flatMap { services[$0]?.gantry?.drift?.policy(kind) }
        return own ?? gantry?.drift?.policy(kind) ?? kind.defaultPolicy
    }

    /// Nanoseconds after which a frozen instance of a service is let go; `nil` is never.
    public func pausedMax(of service: String) -> Int64? {
        services[service]?.gantry?.drift?.pausedMax ?? gantry?.drift?.pausedMax
    }
}
