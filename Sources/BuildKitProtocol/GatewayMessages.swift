// Messages of `moby.buildkit.v1.frontend.LLBBridge` (moby/buildkit, frontend/gateway/pb/gateway.proto): what a client's
// own code asks for while its `Solve` waits.

/// `SolveRequest`.
public struct GatewaySolveRequest: Equatable, Sendable {
    public var frontend = ""
    public var options: [String: String] = [:]
    public var hasDefinition = false

    public init(_ bytes: [UInt8]) throws(ProtobufError) {
        for field in try protobufFields(bytes[...]) {
            switch field.number {
            case 1: hasDefinition = !field.bytes.isEmpty
            case 2: frontend = field.text
            case 3: try SolveRequest.take(field, into: &options)
            default: break
            }
        }
    }
}

/// `SolveResponse` with one result.
public func gatewaySolveResponse(ref: String, metadata: [String: [UInt8]]) -> [UInt8] {
    ProtobufWriter.bytes { writer in
        writer.message(3) { result in
            result.message(3) { $0.text(1, ref) }
            result.map(10, metadata)
        }
    }
}

/// `ReturnRequest`: the client's code has ended.
public struct GatewayReturn: Equatable, Sendable {
    /// Of the results that it wants to have exported.
    public var refs: [String] = []
    /// `google.rpc.Status`; `nil`: it went well.
    public var error: GRPCStatus?

    public init(_ bytes: [UInt8]) throws(ProtobufError) {
        for field in try protobufFields(bytes[...]) {
            if field.number == 1 { try take(result: field) }
            if field.number == 2 { error = try Self.status(field) }
        }
    }

    private mutating func take(result: ProtobufField) throws(ProtobufError) {
        for field in try result.fields() {
            switch field.number {
            case 1: refs.append(field.text)
            case 3: try take(ref: field)
            case 4:
                for entry in try field.fields() where entry.number == 1 {
                    for part in try entry.fields() where part.number == 2 { try take(ref: part) }
                }
            default: break
            }
        }
    }

    private mutating func take(ref: ProtobufField) throws(ProtobufError) {
        if let id = try ref.fields().first(where: { $0.number == 1 })?.text, !id.isEmpty { refs.append(id) }
    }

    private static func status(_ field: ProtobufField) throws(ProtobufError) -> GRPCStatus {
        var status = GRPCStatus(.unknown)
        for field in try field.fields() {
            if field.number == 1 { status.code = Int(field.integer) }
            if field.number == 2 { status.message = field.text }
        }
        return status
    }
}

/// `PongResponse`: what the gateway can do. Clients leave alone what is not in the list.
public func gatewayPong(_ worker: BuildWorker) -> [UInt8] {
    let frontend = ["solve.base", "solve.inlinereturn", "return", "returnmap", "proto.refarray"]
    return ProtobufWriter.bytes { writer in
        for id in frontend {
            writer.message(1) { capability in
                capability.text(1, id)
                capability.flag(2, true)
            }
        }
        writer.message(2) { capability in
            capability.text(1, "source.local")
            capability.flag(2, true)
        }
        writer.message(3, worker.write)
    }
}
