/// What a container is at, in Docker's terms.
public struct ShownState: Equatable, Sendable {
    public enum Status: String, Sendable, CaseIterable {
        case created, running, paused, restarting, removing, exited, dead
    }

    public var status: Status
    /// `starting`, `healthy`, `unhealthy`; `nil` without a healthcheck.
    public var health: String?
    public var exitCode: Int
    /// Nanoseconds since 1970.
    public var startedAt: Int64?
    public var finishedAt: Int64?

    public init(
        status: Status, health: String? = nil, exitCode: Int = 0, startedAt: Int64? = nil, finishedAt: Int64? = nil
    ) {
        self.status = status
        self.health = health
        self.exitCode = exitCode
        self.startedAt = startedAt
        self.finishedAt = finishedAt
    }

    /// `Up 2 minutes (healthy)`, `Exited (3) 5 seconds ago`: what `docker ps` shows.
    public func text(now: Int64) -> String {
        func since(_ moment: Int64?) -> String { humanDuration(max(0, now - (moment ?? now))) }
        switch status {
        case .created: return "Created"
        case .running:
            let up = "Up \(since(startedAt))"
            switch health {
            case nil: return up
            case "starting"?: return "\(up) (health: starting)"
            case let health?: return "\(up) (\(health))"
            }
        case .paused: return "Up \(since(startedAt)) (Paused)"
        case .restarting: return "Restarting (\(exitCode)) \(since(finishedAt)) ago"
        case .removing: return "Removal In Progress"
        case .exited: return "Exited (\(exitCode)) \(since(finishedAt)) ago"
        case .dead: return "Dead"
        }
    }
}

/// `Less than a second`, `5 seconds`, `About a minute`, `3 hours`: as Docker rounds.
public func humanDuration(_ nanoseconds: Int64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    let minutes = seconds / 60
    // Rounded, as hours are.
    let hours = (seconds + 1800) / 3600
    switch true {
    case seconds < 1: return "Less than a second"
    case seconds == 1: return "1 second"
    case seconds < 60: return "\(seconds) seconds"
    case minutes == 1: return "About a minute"
    case minutes < 60: return "\(minutes) minutes"
    case hours == 1: return "About an hour"
    case hours < 48: return "\(hours) hours"
    case hours < 24 * 7 * 2: return "\(hours / 24) days"
    case hours < 24 * 30 * 2: return "\(hours / 24 / 7) weeks"
    case hours < 24 * 365 * 2: return "\(hours / 24 / 30) months"
    default: return "\(hours / 24 / 365) years"
    }
}
