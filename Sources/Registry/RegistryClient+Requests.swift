extension RegistryClient {
    private static let redirectCountMax = 5
    /// Bytes of progress after which a request that breaks has all its attempts again.
    private static let progressByteCountMin: Int64 = 1 << 20

    func perform(_ call: RegistryCall) throws(RegistryError) -> RegistryAnswer {
        try perform({ () throws(RegistryError) in call })
    }

    /// Every endpoint in order, and all of them again after a while when the failure may pass. `makeCall` is asked
    /// before each attempt, `progress` tells the bytes of the call's work that are done.
    func perform(
        _ makeCall: () throws(RegistryError) -> RegistryCall, progress: () -> Int64 = { 0 },
        _ consumer: BodyConsumer? = nil
    ) throws(RegistryError) -> RegistryAnswer {
        let retry = connections.retry
        var attempt = 0
        var done = progress()
        while true {
            let failure: RegistryError
            do throws(RegistryError) {
                return try performOnce(makeCall, consumer)
            } catch {
                failure = error
            }
            if progress() - done >= Self.progressByteCountMin { attempt = 0 }
            done = progress()
            attempt += 1
            guard retry.allowsRetry(after: failure), attempt < retry.attemptCountMax else { throw failure }
            connections.clock.sleep(retry.delay(after: failure, attempt: attempt - 1, connections.clock), stop)
            if stop.isCancelled { throw .cancelled }
        }
    }

    func performOnce(_ call: RegistryCall) throws(RegistryError) -> RegistryAnswer {
        try performOnce({ () throws(RegistryError) in call }, nil)
    }

    /// The registry's own failure is what is told; a mirror's only when the registry was not asked.
    func performOnce(
        _ makeCall: () throws(RegistryError) -> RegistryCall, _ consumer: BodyConsumer?
    ) throws(RegistryError) -> RegistryAnswer {
        var failure: RegistryError?
        for endpoint in try endpoints(makeCall()) {
            do throws(RegistryError) {
                return RegistryAnswer(response: try attempt(makeCall(), endpoint, consumer), endpoint: endpoint)
            } catch {
                guard error.allowsOtherHost else { throw error }
                failure = endpoint.isOrigin ? error : failure ?? error
            }
        }
        let call = try makeCall()
        throw failure ?? .unsupported("\(call.capability.rawValue) by any host that is configured for \(call.registry)")
    }

    private func endpoints(_ call: RegistryCall) throws(RegistryError) -> [RegistryEndpoint] {
        if let continuation = call.continuation { return [continuation.endpoint] }
        let all = try hosts.endpoints(call.registry).filter { $0.capabilities.contains(call.capability) }
        // What is written goes to the registry, unless nothing but a mirror may be written to.
        let isWrite = call.capability == .push
        let origins = all.filter(\.isOrigin)
        return isWrite ? Array((origins.isEmpty ? all : origins).prefix(1)) : all
    }

    // MARK: - One endpoint

    /// TLS first; without it only where that is allowed and the host cannot do better.
    private func attempt(
        _ call: RegistryCall, _ endpoint: RegistryEndpoint, _ consumer: BodyConsumer?
    ) throws(RegistryError) -> HTTPResponse {
        guard endpoint.mayBePlain, endpoint.url.scheme == .https, call.continuation == nil else {
            return try authenticated(call, endpoint, consumer)
        }
        var plain = endpoint
        plain.url.scheme = .http
        if connections.isPlain(endpoint.url) { return try authenticated(call, plain, consumer) }
        let failure: RegistryError
        do throws(RegistryError) {
            return try authenticated(call, endpoint, consumer)
        } catch {
            failure = error
        }
        switch failure {
        case .handshake, .unreachable(_, _, isPermanent: false): break
        default: throw failure
        }
        // Anything that came shows that it speaks; only then is the choice remembered.
        var probe = RegistryCall(registry: call.registry, path: "/", what: call.registry)
        probe.accepted = Set(100..<600)
        do throws(RegistryError) {
            _ = try exchange(probe, plain, authorization: nil, nil)
        } catch {
            throw failure
        }
        connections.rememberPlain(endpoint.url)
        return try authenticated(call, plain, consumer)
    }

    private func authenticated(
        _ call: RegistryCall, _ endpoint: RegistryEndpoint, _ consumer: BodyConsumer?
    ) throws(RegistryError) -> HTTPResponse {
        let authenticator = connections.authenticator
        let credential = try credential(host: endpoint.credentialHost, repository: call.repository)
        var flow = AuthenticationFlow(wanted: call.scopes)
        var authorization = try authenticator.knownAuthorization(endpoint, credential, call.scopes, stop: stop)
        while true {
            let response = try exchange(call, endpoint, authorization: authorization, consumer)
            if call.accepted.contains(response.status) {
                try call.check(response)
                return response
            }
            // Who was redirected to asks for something else than the registry's credentials.
            guard response.status == 401 || response.status == 403, response.url.isSameOrigin(as: endpoint.url) else {
                throw ErrorDocument.error(response, host: endpoint.host, what: call.what, retry: connections.retry)
            }
            authorization = try authenticator.authorization(
                after: response, &flow, used: authorization, endpoint, credential, stop: stop)
        }
    }

    private func exchange(
        _ call: RegistryCall, _ endpoint: RegistryEndpoint, authorization: String?, _ consumer: BodyConsumer?
    ) throws(RegistryError) -> HTTPResponse {
        var request = HTTPRequest(
            method: call.method, url: try address(call, endpoint), headers: call.headers, body: call.body,
            answerByteCountMax: call.answerByteCountMax,
            stallSeconds: max(call.stallSecondsMin, connections.retry.stallSeconds))
        for _ in 0...Self.redirectCountMax {
            // Credentials and configured headers are for the registry itself, wherever it sends us.
            var sent = request
            sent.tls = endpoint.tls(for: request.url)
            if request.url.isSameOrigin(as: endpoint.url) {
                for (name, values) in endpoint.headers {
                    for value in values { sent.headers.add(name, value) }
                }
                if let authorization { sent.headers.set("authorization", authorization) }
            }
            let response = try connections.transport.perform(sent, stop: stop, consumer)
            guard let next = try redirect(response, request.method, endpoint) else { return response }
            request.url = next
        }
        throw .invalidResponse(host: endpoint.host, why: "more than \(Self.redirectCountMax) redirects")
    }

    private func address(_ call: RegistryCall, _ endpoint: RegistryEndpoint) throws(RegistryError) -> RegistryURL {
        if let continuation = call.continuation { return continuation.url }
        var url = endpoint.url
        let parts = call.path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        url.path += parts[0]
        url.query = parts.count > 1 ? String(parts[1]) : nil
        // A mirror of several registries must know which one is meant (containerd, docs/hosts.md).
        if !endpoint.isOrigin { url.appendQuery("ns", call.registry) }
        return url
    }

    /// Where to ask again; nil when the answer is no redirect that this method follows.
    private func redirect(
        _ response: HTTPResponse, _ method: String, _ endpoint: RegistryEndpoint
    ) throws(RegistryError) -> RegistryURL? {
        let isReading = method == "GET" || method == "HEAD"
        guard [301, 302, 303, 307, 308].contains(response.status), isReading || [307, 308].contains(response.status),
            let location = response.headers["location"]
        else { return nil }
        guard let next = response.url.resolving(location) else {
            throw .invalidResponse(host: endpoint.host, why: "a redirect to \(harmless(location))")
        }
        guard next.scheme == .https || response.url.scheme == .http else {
            throw .invalidResponse(host: endpoint.host, why: "a redirect away from https to \(next.authority)")
        }
        return next
    }
}
