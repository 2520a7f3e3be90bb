/// What is there, with its containers by name and by service; one-off ones are not among them. Made once for many
/// gates.
struct ContainerIndex: Sendable {
    let observed: ObservedState
    /// Positions in `observed.containers`; `nil` where looking through them is cheaper.
    private var byName: [String: [Int]]?
    private var byService: [String: [Int]]?

    /// More containers than this are worth an index.
    private static let scanMax = 16

    init(_ observed: ObservedState) {
        self.observed = observed
        let containers = observed.containers
        guard containers.count > Self.scanMax else { return }
        var (byName, byService) = ([String: [Int]](minimumCapacity: containers.count), [String: [Int]]())
        for (index, container) in containers.enumerated() where !container.oneOff {
            byName[container.name, default: []].append(index)
            byService[container.service, default: []].append(index)
        }
        (self.byName, self.byService) = (byName, byService)
    }

    /// For one gate.
    init(scanning observed: ObservedState) { self.observed = observed }

    func forEach(named name: String, _ body: (ObservedContainer) -> Void) {
        guard let byName else {
            for container in observed.containers where container.name == name && !container.oneOff { body(container) }
            return
        }
        for index in byName[name] ?? [] { body(observed.containers[index]) }
    }

    func forEach(of service: String, _ body: (ObservedContainer) -> Void) {
        guard let byService else {
            for container in observed.containers where container.service == service && !container.oneOff {
                body(container)
            }
            return
        }
        for index in byService[service] ?? [] { body(observed.containers[index]) }
    }
}
