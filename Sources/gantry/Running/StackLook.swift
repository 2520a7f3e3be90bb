import EngineClient
import EngineWire
import FoundationEssentials

/// Asks the engine now and then how a stack is, while something else is waited for. What it answers is only shown: what
/// cannot be asked or read is asked again later.
final class StackLook {
    /// Between an answer and the next question, nanoseconds; longer where answers take long.
    private static let pause: Int64 = 300_000_000
    /// One part in so many of the time goes into asking.
    private static let costFactor: Int64 = 10
    private static let replyByteCountMax = 64 << 20

    private let client: EngineClient
    private let stack: String
    private var question: EngineStream?
    private var answer: [UInt8] = []
    private var containers: [ContainerStatus]?
    private var askedAt: Int64 = 0
    private var nextAt: Int64 = 0

    init(client: EngineClient, stack: String) {
        self.client = client
        self.stack = stack
    }

    /// Of the answer that is under way, for `wait(for:)`.
    var descriptor: Int32? { question?.descriptor }

    /// Asks when it is time to.
    func ask(at now: Int64) {
        guard question == nil, now >= nextAt else { return }
        (askedAt, containers) = (now, nil)
        open("containers", at: now)
    }

    /// Reads what has arrived; a look when it is complete.
    func receive(at now: Int64) -> LiveTree.Look? {
        guard let question else { return nil }
        do throws(EngineClientError) {
            if let bytes = try question.receive() {
                answer += bytes
                if answer.count > Self.replyByteCountMax { giveUp(at: now) }
                return nil
            }
        } catch {
            // A stack that is not there yet, or an engine that restarts: the command itself tells of it.
            giveUp(at: now)
            return nil
        }
        return take(at: now)
    }

    private func take(at now: Int64) -> LiveTree.Look? {
        let data = Data(answer)
        guard let containers else {
            // An engine of another version says it differently: then nothing is known of it, as above.
            containers = try? JSONDecoder().decode([ContainerStatus].self, from: data)
            if containers == nil { giveUp(at: now) } else { open("rollout", at: now) }
            return nil
        }
        // As above.
        let rollout = try? JSONDecoder().decode(RolloutReply.self, from: data)
        giveUp(at: now)
        return LiveTree.Look(askedAt: askedAt, containers: containers, rollout: rollout)
    }

    private func open(_ what: String, at now: Int64) {
        answer = []
        // The engine may be gone for a moment; the command itself tells of it.
        question = try? client.open(HTTPRequest("GET", ["stacks", stack, what]))
        if question == nil { giveUp(at: now) }
    }

    private func giveUp(at now: Int64) {
        question = nil
        nextAt = now + max(Self.pause, (now - askedAt) * Self.costFactor)
    }
}
