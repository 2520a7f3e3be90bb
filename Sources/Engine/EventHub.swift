import Reconciler
import StackModel
import Synchronization

/// Something that happened, in the terms of Docker's `GET /events`.
public struct EngineEvent: Sendable, Equatable {
    /// `container`, `network`, `volume`, `image`.
    public var type: String
    /// `create`, `start`, `die`, `stop`, `destroy`, `health_status: healthy`, …
    public var action: String
    public var id: String
    public var attributes: [String: String]
    public var time: Nanoseconds
}

/// Hands events to whoever listens. A listener that does not keep up loses the oldest ones, never holds the engine up.
struct EventHub {
    private static let eventsPerListenerMax = 4096

    private var listeners: [Int: AsyncStream<EngineEvent>.Continuation] = [:]
    private var nextNumber = 0

    mutating func listen() -> (number: Int, events: AsyncStream<EngineEvent>) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: EngineEvent.self, bufferingPolicy: .bufferingNewest(Self.eventsPerListenerMax))
        nextNumber += 1
        listeners[nextNumber] = continuation
        return (nextNumber, stream)
    }

    mutating func stopListening(_ number: Int) { listeners.removeValue(forKey: number)?.finish() }

    func send(_ event: EngineEvent) {
        for listener in listeners.values { listener.yield(event) }
    }
}

extension Engine {
    /// Events from now on; call `stopListening` with the number when done.
    public func listen() -> (number: Int, events: AsyncStream<EngineEvent>) { events.listen() }

    public func stopListening(_ number: Int) { events.stopListening(number) }

    func announce(_ container: StoredContainer, _ action: String, _ more: [String: String] = [:]) {
        var attributes = container.labels
        attributes["name"] = container.name
        attributes["image"] = container.definition.service.image
        attributes.merge(more) { _, new in new }
        events.send(
            EngineEvent(
                type: "container", action: action, id: container.id, attributes: attributes, time: Clock.now()))
        noteChange(in: container.stackName)
    }

    func announce(type: String, _ action: String, name: String, stack: String) {
        events.send(
            EngineEvent(type: type, action: action, id: name, attributes: ["name": name], time: Clock.now()))
        noteChange(in: stack)
    }

    /// Wakes whoever waits for news of a stack.
    func noteChange(in stack: String) {
        guard let waiters = stacks[stack]?.changeWaiters else { return }
        stacks[stack]?.changes += 1
        stacks[stack]?.changeWaiters = []
        for waiter in waiters { waiter.resume() }
    }

    /// Returns once the stack has had news since the count was `seen`.
    func waitForChange(in stack: String, since seen: Int) async {
        guard let entry = stacks[stack], entry.changes == seen, !isShuttingDown else { return }
        await withCheckedContinuation { continuation in
            stacks[stack]?.changeWaiters.append(continuation)
        }
    }

    /// Makes a waiter look again at `time`, for back-off and deadlines.
    func wake(_ stack: String, at time: Nanoseconds) {
        // Whoever is woken before says anew when.
        if let armed = stacks[stack]?.wakesAt, armed <= time, armed > Clock.now() { return }
        stacks[stack]?.wakesAt = time
        background.start { [self] in
            do {
                try await Task.sleep(for: .nanoseconds(clamping: time - Clock.now()))
            } catch {
                return  // The engine is shutting down: nobody is left to wake.
            }
            await noteChange(in: stack)
        }
    }
}
