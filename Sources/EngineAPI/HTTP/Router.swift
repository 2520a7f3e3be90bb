import EngineWire
import Glibc

/// The values of a pattern's parameters.
public struct RouteParameters: Equatable, Sendable {
    private let values: [String: String]

    public init(_ values: [String: String]) { self.values = values }

    /// The decoded value; the empty string for a name that the pattern does not have.
    public subscript(name: String) -> String {
        assert(values[name] != nil, "the route has no parameter \(name)")
        return values[name] ?? ""
    }
}

/// Finds the handler of a request by method and path, and renders what handlers throw.
public struct Router: Sendable {
    public typealias Handler = @Sendable (HTTPRequest, RouteParameters) async throws -> HTTPReply

    private struct Route: Sendable {
        var pattern: RoutePattern
        /// By method.
        var handlers: [String: Entry] = [:]
    }

    struct Entry: Sendable {
        var handler: Handler
        var pattern: String
        var bodyByteCountMax: Int64
    }

    enum Match {
        case found(Entry, RouteParameters)
        case methodNotAllowed(allowed: [String])
        case notFound
    }

    /// Most specific first.
    private var routes: [Route] = []
    private let versions: VersionPolicy?
    /// Counts requests.
    public var meter: RequestMeter?
    /// Asked before everything else: what it answers is the answer.
    public var gate: (@Sendable (HTTPRequest) -> HTTPReply?)?

    /// Without `versions` every prefix is taken.
    public init(versions: VersionPolicy? = nil) { self.versions = versions }

    /// `pattern`: literal segments, `{name}` for one segment, and once `{name...}` for one or more, joined by `/`
    /// (image names), behind which only literals may come. A literal wins over a parameter. `GET` also serves `HEAD`.
    /// A request whose body is larger than `bodyByteCountMax` is answered 413.
    public mutating func on(
        _ method: String, _ pattern: String, bodyByteCountMax: Int64 = HTTPLimits.bodyByteCountMax,
        handler: @escaping Handler
    ) {
        let entry = Entry(handler: handler, pattern: pattern, bodyByteCountMax: bodyByteCountMax)
        let parsed = RoutePattern(pattern)
        if let index = routes.firstIndex(where: { $0.pattern == parsed }) {
            precondition(routes[index].handlers[method] == nil, "\(method) \(pattern) is routed twice")
            routes[index].handlers[method] = entry
        } else {
            let position = routes.firstIndex { parsed.isMoreSpecific(than: $0.pattern) } ?? routes.endIndex
            routes.insert(Route(pattern: parsed, handlers: [method: entry]), at: position)
        }
    }

    /// Every method and pattern there is, `{name...}` written as `{name}`; schemas/openapi.yaml describes them all.
    public var table: [(method: String, pattern: String)] {
        routes.flatMap { route in route.handlers.keys.map { ($0, route.pattern.description) } }
            .sorted { ($0.pattern, $0.method) < ($1.pattern, $1.method) }
    }

    func match(method: String, path: [String]) -> Match {
        var allowed: Set<String> = []
        for route in routes {
            guard let parameters = route.pattern.match(path) else { continue }
            if let entry = route.handlers[method] ?? (method == "HEAD" ? route.handlers["GET"] : nil) {
                return .found(entry, parameters)
            }
            allowed.formUnion(route.handlers.keys)
        }
        return allowed.isEmpty ? .notFound : .methodNotAllowed(allowed: allowed.sorted())
    }

    /// The answer to a request, failures included; `failed` hears of errors that became a 500.
    public func reply(to request: HTTPRequest, failed: (any Error) -> Void = { _ in }) async -> HTTPReply {
        await reply(to: request, limitBody: { _ in }, failed: failed)
    }

    func reply(
        to request: HTTPRequest, limitBody: (Int64) -> Void, failed: (any Error) -> Void
    ) async -> HTTPReply {
        if let reply = gate?(request) { return reply }
        // As Docker's engine, which says no more than that it is there.
        if request.method == "OPTIONS" { return .empty(status: 200) }
        let match = match(method: request.method, path: request.path)
        guard let meter else { return await reply(to: request, match, limitBody: limitBody, failed: failed) }
        let began = monotonicSeconds()
        let reply = await reply(to: request, match, limitBody: limitBody, failed: failed)
        var pattern: String?
        if case .found(let entry, _) = match { pattern = entry.pattern }
        meter.note(request.method, pattern, status: reply.status, seconds: monotonicSeconds() - began)
        return reply
    }

    private func reply(
        to request: HTTPRequest, _ match: Match, limitBody: (Int64) -> Void, failed: (any Error) -> Void
    ) async -> HTTPReply {
        switch match {
        case .notFound:
            return .failure(HTTPError(404, "page not found"))
        case .methodNotAllowed(let allowed):
            guard
                case .full(let status, var headers, let body) = HTTPReply.failure(
                    HTTPError(405, "method \(request.method) is not allowed here"))
            else { return .empty(status: 405) }
            headers.set("Allow", allowed.joined(separator: ", "))
            return .full(status: status, headers: headers, body: body)
        case .found(let entry, let parameters):
            if let refusal = versions?.refusal(of: request.version) { return refusal }
            limitBody(entry.bodyByteCountMax)
            if let byteCount = request.body.declaredByteCount, byteCount > entry.bodyByteCountMax {
                return .failure(HTTPError(413, "request body is larger than \(entry.bodyByteCountMax) bytes"))
            }
            do {
                return try await entry.handler(request, parameters)
            } catch {
                if !(error is any HTTPFailure), !(error is CancellationError) { failed(error) }
                return .failure(error)
            }
        }
    }
}

/// Of a clock that only grows.
private func monotonicSeconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

/// `/containers/{id}/logs`, parsed.
struct RoutePattern: Equatable, Sendable {
    enum Segment: Equatable, Sendable {
        case literal(String)
        case parameter(String)
        case rest(String)

        var rank: Int {
            switch self {
            case .literal: 0
            case .parameter: 1
            case .rest: 2
            }
        }
    }

    let segments: [Segment]

    init(_ pattern: String) {
        precondition(pattern.hasPrefix("/"), "route pattern \(pattern) does not start with /")
        segments = pattern.split(separator: "/").map { part in
            guard part.hasPrefix("{"), part.hasSuffix("}") else { return .literal(String(part)) }
            let name = part.dropFirst().dropLast()
            return name.hasSuffix("...") ? .rest(String(name.dropLast(3))) : .parameter(String(name))
        }
        if let restIndex = segments.firstIndex(where: { $0.rank == 2 }) {
            precondition(
                segments[(restIndex + 1)...].allSatisfy { $0.rank == 0 },
                "\(pattern): only literals may follow {name...}")
        }
    }

    func match(_ path: [String]) -> RouteParameters? {
        var values: [String: String] = [:]
        for (index, segment) in segments.enumerated() {
            guard index < path.count else { return nil }
            switch segment {
            case .literal(let text):
                guard path[index] == text else { return nil }
            case .parameter(let name):
                guard !path[index].isEmpty else { return nil }
                values[name] = path[index]
            case .rest(let name):
                let tail = segments[(index + 1)...]
                let end = path.count - tail.count
                guard end > index, path[end...].elementsEqual(tail, by: { .literal($0) == $1 }) else { return nil }
                values[name] = path[index..<end].joined(separator: "/")
                return RouteParameters(values)
            }
        }
        return path.count == segments.count ? RouteParameters(values) : nil
    }

    /// The first segment that differs in kind decides; behind `{name...}` more literals do.
    func isMoreSpecific(than other: RoutePattern) -> Bool {
        for (own, its) in zip(segments, other.segments) where own != its {
            if own.rank != its.rank { return own.rank < its.rank }
            // Two literals: no path has both.
            if own.rank == 0 { return false }
        }
        return segments.count > other.segments.count
    }
}

extension RoutePattern: CustomStringConvertible {
    /// As OpenAPI writes it.
    var description: String {
        "/"
            + segments.map { segment in
                switch segment {
                case .literal(let text): text
                case .parameter(let name), .rest(let name): "{\(name)}"
                }
            }.joined(separator: "/")
    }
}
