import StackModel
import Synchronization

/// What holds for the whole run of the program, whoever prints: the secrets that must not be seen, the command, and
/// what has been said so far. One process runs one command.
enum ProgramFacts {
    private struct State {
        var mask = SecretMask()
        var command = "gantry"
        var said: [Diagnostic] = []
        var annotated: Set<String> = []
    }

    /// A program that says more is told of in part.
    private static let saidMax = 1_000
    private static let state = Mutex(State())

    /// Replaced in all text that is printed; logs and outputs of containers that a user asked for are not text.
    static var mask: SecretMask { state.withLock { $0.mask } }

    /// `gantry up`.
    static var command: String {
        get { state.withLock { $0.command } }
        set { state.withLock { $0.command = newValue } }
    }

    /// Warnings that were shown.
    static var said: [Diagnostic] { state.withLock { $0.said } }

    static func hide(_ mask: SecretMask) { state.withLock { $0.mask.add(mask) } }

    /// Whether nothing was annotated yet that says the same of the same line, or of any when this has none.
    static func isNewAnnotation(_ diagnostic: Diagnostic) -> Bool {
        let place = diagnostic.source.map { "\($0.file):\($0.line): " }
        return state.withLock { state in
            let isNewText = state.annotated.insert(diagnostic.message).inserted
            guard let place else { return isNewText }
            return state.annotated.insert(place + diagnostic.message).inserted
        }
    }

    static func note(_ diagnostic: Diagnostic) {
        state.withLock { if $0.said.count < saidMax { $0.said.append(diagnostic) } }
    }
}
