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

/// Hands events to whoever listens, and remembers the last ones. A listener that does not keep up loses the oldest
/// ones, never holds the engine up.
struct EventHub {
    private static let eventsPerListenerMax = 4096
    /// Of those that were, for clients that ask for what happened since a moment.
    static let eventsKeptMax = 1024

    private var listeners: [Int: AsyncStream<EngineEvent>.Continuation] = [:]
    private var nextNumber = 0
    /// A ring: once it is full, `oldest` is where the next one goes.
    private var kept: [EngineEvent] = []
    private var oldest = 0

    var listenerCount: Int { listeners.count }

    /// Oldest first.
    var past: [EngineEvent] { Array(kept[oldest...] + kept[..<oldest]) }

    mutating func listen() -> (number: Int, events: AsyncStream<EngineEvent>) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: EngineEvent.self, bufferingPolicy: .bufferingNewest(Self.eventsPerListenerMax))
        nextNumber += 1
        listeners[nextNumber] = continuation
        return (nextNumber, stream)
    }

    mutating func stopListening(_ number: Int) { listeners.removeValue(forKey: number)?.finish() }

    mutating func send(_ event: EngineEvent) {
        if kept.count < Self.eventsKeptMax {
            kept.append(event)
        } else {
            kept[oldest] = event
            oldest = (oldest + 1) % Self.eventsKeptMax
        }
        for listener in listeners.values { listener.yield(event) }
    }
}

extension Engine {
    /// Events from now on, and those that are remembered; none is in both, and none is missed between them. Call
    /// `stopListening` with the number when done.
    public func listen() -> (number: Int, past: [EngineEvent], events: AsyncStream<EngineEvent>) {
        let (number, stream) = events.listen()
        return (number, events.past, stream)
    }

    public func stopListening(_ number: Int) { events.stopListening(number) }

    func announce(_ container: StoredContainer, _ action: String, _ more: [String: String] = [:]) {
        if action == "start" { announceUse(by: container, network: "connect", volume: "mount") }
        var attributes = container.labels
        attributes["name"] = container.name
        attributes["image"] = container.definition.service.image
        attributes.merge(more) { _, new in new }
        events.send(
            EngineEvent(
                type: "container", action: action, id: container.id, attributes: attributes, time: Clock.now()))
        if action == "die" { announceUse(by: container, network: "disconnect", volume: "unmount") }
        noteChange(in: container.stackName)
    }

    /// What a container takes when it starts, and leaves when it ends.
    private func announceUse(by container: StoredContainer, network: String, volume: String) {
        for attachment in container.attachments {
            announce(
                type: "network", network, name: attachment.network, stack: "", ["container": container.id])
        }
        for (target, name) in container.volumes.sorted(by: { $0.key < $1.key }) {
            var attributes = ["container": container.id]
            if volume == "mount" {
                attributes["destination"] = target
                let mount = container.definition.service.mounts.first { $0.target == target }
                attributes["read/write"] = mount?.readOnly == true ? "false" : "true"
                attributes["propagation"] = ""
            }
            announce(type: "volume", volume, name: name, stack: "", attributes)
        }
    }

    /// Of a network or volume; as Docker's, a network goes by its id and a volume by its name.
    func announce(
        type: String, _ action: String, name: String, stack: String, _ more: [String: String] = [:]
    ) {
        var attributes = type == "volume" ? ["driver": "local"] : ["name": name]
        var id = name
        if type == "network", let record = networks[name] {
            id = record.id
            attributes["type"] = record.driver.rawValue
        }
        attributes.merge(more) { _, new in new }
        events.send(EngineEvent(type: type, action: action, id: id, attributes: attributes, time: Clock.now()))
        if !stack.isEmpty { noteChange(in: stack) }
    }

    /// After a prune: what it gave back.
    func announcePrune(_ type: String, byteCount: Int64) {
        events.send(
            EngineEvent(
                type: type, action: "prune", id: "", attributes: ["reclaimed": "\(byteCount)"], time: Clock.now()))
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
