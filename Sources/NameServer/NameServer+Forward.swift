import CLinux
import Glibc
import LinuxSystem

/// Questions to other servers.
extension NameServer {
    func forward(_ query: DNSQuery, client: DNSClient, listener: DNSListener, to resolver: ResolvConf) {
        let key = DNSLookupKey(query, servers: resolver.servers)
        let now = monotonicMilliseconds()
        if let (response, age) = cache.find(key, now) {
            let message = response.message(for: query, age: age, byteCountMax: client.byteCountMax(query))
            return deliver(message, to: client)
        }
        guard !resolver.servers.isEmpty, listener.inFlightCount < DNSLimits.inFlightPerScopeCountMax,
            waiterCount < DNSLimits.waiterCountMax, lookups[key] != nil || lookups.count < DNSLimits.inFlightCountMax
        else { return deliver(failure(query, client), to: client) }
        listener.inFlightCount += 1
        waiterCount += 1
        if case .connection(let token) = client { connections[token]?.inFlightCount += 1 }
        let waiter = DNSLookup.Waiter(client: client, listener: listener.udpToken, query: query)
        if let known = lookups[key] { return known.waiters.append(waiter) }
        if resolver.rotates { turn = (turn + 1) % DNSLimits.serverCountMax }
        let lookup = DNSLookup(
            key, order: health.order(resolver.servers, turn: resolver.rotates ? turn : 0, now),
            attemptCount: resolver.attemptCount, timeoutMilliseconds: resolver.timeoutMilliseconds)
        lookup.waiters = [waiter]
        lookups[key] = lookup
        askNextServer(lookup)
    }

    private func failure(_ query: DNSQuery, _ client: DNSClient) -> [UInt8] {
        DNSReply.answer(query, .serverFailure, byteCountMax: client.byteCountMax(query))
    }

    /// Asks the next server, on a new socket and under a new id; answers the clients when there is none left.
    func askNextServer(_ lookup: DNSLookup) {
        detach(lookup)
        lookup.isStream = false
        while let server = lookup.remaining.popLast() {
            lookup.server = server
            do {
                return try ask(server, lookup)
            } catch {
                // Unreachable, or no descriptor to be had: the next attempt may fare better.
                detach(lookup)
            }
        }
        finish(lookup, with: lookup.truncated ?? lookup.refusal)
    }

    private func ask(_ server: ResolverAddress, _ lookup: DNSLookup) throws(SystemError) {
        let socket = SharedDescriptor(try DNSSocket.connected(to: server, isDatagram: !lookup.isStream))
        lookup.id = UInt16.random(in: 0...UInt16.max)
        lookup.token = makeToken()
        lookup.socket = socket
        if lookup.isStream {
            lookup.incoming = DNSStreamBuffer()
            lookup.outgoing = DNSStreamBuffer()
            lookup.outgoing.append(message: lookup.packet)
        } else {
            _ = try DNSSocket.send(socket.raw, lookup.packet[...])
        }
        try watch(socket.raw, token: lookup.token, writable: lookup.isStream)
        lookupsOfTokens[lookup.token] = lookup
        lookupDeadlines.push(lookup.token, at: monotonicMilliseconds() + lookup.timeoutMilliseconds)
    }

    /// Closes the lookup's socket.
    private func detach(_ lookup: DNSLookup) {
        lookupsOfTokens[lookup.token] = nil
        if let socket = lookup.socket { unwatch(socket.raw) }
        lookup.socket = nil
    }

    /// Gives every client the answer, or says that there is none.
    private func finish(_ lookup: DNSLookup, with message: [UInt8]?) {
        detach(lookup)
        lookups[lookup.key] = nil
        let response = message.flatMap(DNSResponse.init)
        if let response { cache.store(lookup.key, response, monotonicMilliseconds()) }
        for waiter in lookup.waiters {
            release(waiter)
            let byteCountMax = waiter.client.byteCountMax(waiter.query)
            if let response {
                deliver(response.message(for: waiter.query, age: 0, byteCountMax: byteCountMax), to: waiter.client)
            } else if let message, let header = DNSHeader(message) {
                deliver(relayed(message, header, waiter.query, byteCountMax), to: waiter.client)
            } else {
                deliver(failure(waiter.query, waiter.client), to: waiter.client)
            }
        }
    }

    /// A message that cannot be taken apart, as it came where it fits.
    private func relayed(
        _ message: [UInt8], _ header: DNSHeader, _ query: DNSQuery, _ byteCountMax: Int
    ) -> [UInt8] {
        guard message.count <= byteCountMax else {
            return DNSReply.answer(query, .serverFailure, byteCountMax: byteCountMax)
        }
        var writer = DNSWriter(bytes: message)
        writer.set(word: query.id, at: 0)
        return writer.bytes
    }

    private func release(_ waiter: DNSLookup.Waiter) {
        waiterCount -= 1
        listeners[waiter.listener]?.inFlightCount -= 1
        if case .connection(let token) = waiter.client { connections[token]?.inFlightCount -= 1 }
    }

    /// Forgets who no longer waits, and questions that nobody waits for.
    func dropWaiters(where isGone: (DNSLookup.Waiter) -> Bool) {
        for lookup in lookups.values where lookup.waiters.contains(where: isGone) {
            for waiter in lookup.waiters where isGone(waiter) { release(waiter) }
            lookup.waiters.removeAll(where: isGone)
            guard lookup.waiters.isEmpty else { continue }
            detach(lookup)
            lookups[lookup.key] = nil
        }
    }

    func lookupExpired(_ lookup: DNSLookup) {
        if let server = lookup.server { health.noteDead(server, monotonicMilliseconds()) }
        askNextServer(lookup)
    }

    /// The server's socket has something to say.
    func advance(_ lookup: DNSLookup) {
        guard let socket = lookup.socket else { return }
        do {
            if lookup.isStream {
                try advanceStream(lookup, socket.raw)
            } else {
                hear(try DNSSocket.receive(socket.raw, byteCountMax: DNSLimits.messageByteCountMax), lookup)
            }
        } catch {
            guard error.code != EAGAIN, error.code != EINTR else { return }
            // ECONNREFUSED and the like: nobody there.
            if let server = lookup.server, !lookup.isStream {
                health.noteDead(server, monotonicMilliseconds())
                lookup.remaining.removeAll { $0 == server }
            }
            askNextServer(lookup)
        }
    }

    private func advanceStream(_ lookup: DNSLookup, _ raw: Int32) throws(SystemError) {
        if !lookup.outgoing.bytes.isEmpty {
            lookup.outgoing.removeFirst(try DNSSocket.send(raw, lookup.outgoing.bytes[...]))
            if lookup.outgoing.bytes.isEmpty {
                try change(raw, token: lookup.token, readable: true, writable: false)
            }
            return
        }
        let bytes = try DNSSocket.receive(raw, byteCountMax: DNSLimits.messageByteCountMax)
        guard !bytes.isEmpty else { return askNextServer(lookup) }
        lookup.incoming.append(bytes)
        if let message = lookup.incoming.nextMessage() { hear(message, lookup) }
    }

    private func hear(_ message: [UInt8], _ lookup: DNSLookup) {
        switch lookup.judge(message) {
        case .foreign:
            // Over TCP nobody else can have sent it: the server is of no use. Over UDP the right answer may still come.
            if lookup.isStream { askNextServer(lookup) }
        case .refused:
            lookup.refusal = message
            lookup.remaining.removeAll { $0 == lookup.server }
            askNextServer(lookup)
        case .truncated: askOverStream(lookup, message)
        case .answer:
            if let server = lookup.server { health.noteAlive(server) }
            finish(lookup, with: message)
        }
    }

    private func askOverStream(_ lookup: DNSLookup, _ message: [UInt8]) {
        lookup.truncated = message
        detach(lookup)
        lookup.isStream = true
        guard let server = lookup.server else { return askNextServer(lookup) }
        do {
            try ask(server, lookup)
        } catch {
            // Without TCP the clients get what there is, and try for themselves.
            finish(lookup, with: message)
        }
    }
}
