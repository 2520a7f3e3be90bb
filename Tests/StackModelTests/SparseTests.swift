import FoundationEssentials
import StackModel
import Testing

struct SparseTests {
    private func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test func whatIsEmptyIsLeftOut() throws {
        #expect(try json(Service(image: "a")) == #"{"image":"a","replicas":1,"resources":{},"restart":{"mode":"no"}}"#)
        var service = Service(image: "a")
        service.capAdd = ["NET_ADMIN"]
        service.tty = true
        service.environment = ["A": nil, "B": "1"]
        let text = try json(service)
        #expect(text.contains(#""capAdd":["NET_ADMIN"]"#) && text.contains(#""tty":true"#))
        #expect(try JSONDecoder().decode(Service.self, from: Data(text.utf8)) == service)
    }

    /// As an older engine stored it: what came later is not there.
    @Test func whatIsMissingIsEmpty() throws {
        let old = #"{"image":"a","replicas":2,"resources":{},"restart":{"mode":"always"},"labels":{"x":"y"}}"#
        let service = try JSONDecoder().decode(Service.self, from: Data(old.utf8))
        #expect(service.labels == ["x": "y"] && service.replicas == 2)
        #expect(service.mounts.isEmpty && !service.privileged && service.build == nil && service.deviceRequests.isEmpty)
    }

    @Test func wrongTypesAreErrors() {
        for text in [#"{"image":"a","labels":[]}"#, #"{"image":"a","tty":"yes"}"#] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(Service.self, from: Data(text.utf8)) }
        }
    }
}
