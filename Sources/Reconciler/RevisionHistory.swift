import StackModel

/// What a stack was before, as far as it is kept: what may be returned to.
public struct RevisionHistory: Equatable, Sendable {
    public struct Revision: Equatable, Sendable {
        /// From 1.
        public var number: Int
        /// Every service reached its goal with it.
        public var isStable: Bool
        public var resolved: ResolvedStack

        public init(number: Int, isStable: Bool, resolved: ResolvedStack) {
            self.number = number
            self.isStable = isStable
            self.resolved = resolved
        }
    }

    /// Why there is nothing to return to.
    public enum Refusal: Error, Equatable, Sendable {
        /// There is no such revision.
        case unknown(Int, known: [Int])
        /// Applying it would change nothing.
        case isPresent(Int)
        /// No earlier one worked, or those that did are what the stack is now.
        case noneWorked
    }

    /// By number.
    public let revisions: [Revision]
    /// The number of the one that the stack is at; `nil` when it has none.
    public let present: Int?

    public init(_ revisions: [Revision] = [], present: Int? = nil) {
        self.revisions = revisions.sorted { $0.number < $1.number }
        self.present = present
    }

    private var presentRevision: Revision? { revisions.first { $0.number == present } }

    /// There is a present revision, and it has not worked yet.
    public var isUnproven: Bool { presentRevision.map { !$0.isStable } ?? false }

    /// Some revision worked in which the service was as it is now.
    func hasWorked(_ service: String) -> Bool {
        guard let present = presentRevision else { return false }
        return revisions.contains { $0.isStable && $0.resolved.isSame(service, as: present.resolved) }
    }

    /// The revision that a rollback goes to.
    ///
    /// - Parameter number: the one that is asked for; `nil`: the last before the present one that worked and differs
    ///   from it.
    public func rollbackTarget(_ number: Int? = nil) throws(Refusal) -> Int {
        if let number {
            guard let revision = revisions.first(where: { $0.number == number }) else {
                throw .unknown(number, known: revisions.map(\.number))
            }
            guard isOther(revision) else { throw .isPresent(number) }
            return number
        }
        let earlier = revisions.filter { $0.number < present ?? 0 }
        guard let revision = earlier.last(where: { $0.isStable && isOther($0) }) else { throw .noneWorked }
        return revision.number
    }

    private func isOther(_ revision: Revision) -> Bool {
        presentRevision.map { !revision.resolved.isSame(as: $0.resolved) } ?? true
    }
}
