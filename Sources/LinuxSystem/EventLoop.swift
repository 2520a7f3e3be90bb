import CLinux
import Glibc

/// Calls back when descriptors are ready: epoll(7) for programs of one thread.
public final class EventLoop {
    private static let eventsPerWaitMax = 128

    private let epoll: FileDescriptor
    private var handlers: [Int32: (UInt32) -> Void] = [:]
    /// Work that is not done although its descriptors will not say so again.
    private var unfinished: [() -> Void] = []

    public init() throws(SystemError) {
        epoll = FileDescriptor(owning: try check("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    }

    /// `events`: `EPOLL*`. The handler goes with `remove`, or with the loop.
    public func add(_ descriptor: Int32, _ events: UInt32, _ handler: @escaping (UInt32) -> Void) throws(SystemError) {
        var event = epoll_event(events: events, data: epoll_data_t(fd: descriptor))
        let raw = epoll.raw
        try check("epoll_ctl") { epoll_ctl(raw, EPOLL_CTL_ADD, descriptor, &event) }
        handlers[descriptor] = handler
    }

    /// Before the descriptor is closed.
    public func remove(_ descriptor: Int32) {
        epoll_ctl(epoll.raw, EPOLL_CTL_DEL, descriptor, nil)
        handlers[descriptor] = nil
    }

    /// Readable when there is something to do, for a loop around this one.
    public var raw: Int32 { epoll.raw }

    /// Whether a turn has something to do that `raw` does not show.
    public var hasUnfinished: Bool { !unfinished.isEmpty }

    /// Calls `work` in the next turn.
    public func later(_ work: @escaping () -> Void) { unfinished.append(work) }

    /// Waits for events, at most so many milliseconds (-1: for ever), and calls their handlers.
    public func turn(milliseconds: Int32) {
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsPerWaitMax)
        let count = epoll_wait(
            epoll.raw, &events, Int32(Self.eventsPerWaitMax), unfinished.isEmpty ? milliseconds : 0)
        for event in events.prefix(Int(max(count, 0))) { handlers[event.data.fd]?(event.events) }
        let work = unfinished
        unfinished = []
        for item in work { item() }
    }
}
