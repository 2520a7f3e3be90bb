import EngineWire
import FoundationEssentials
import JSONDocument
import StackModel
import Testing

@testable import Engine

@Suite struct WithholdingTests {
    private let withholding = Withholding(key: Array(String(repeating: "k", count: 64).utf8))

    private func tree() throws -> JSONValue {
        var stack = Stack(name: "shop", services: ["web": Service(image: "web:1")])
        stack.services["web"]?.environment = ["LOG": "info", "DB_PASSWORD": "canary1", "SAME_PASSWORD": "canary1"]
        stack.services["web"]?.command = ["serve", "--password", "canary2"]
        stack.secrets["pin"] = FileObject(content: Array("canary3".utf8))
        stack.configs["a/b"] = FileObject(content: Array("canary4".utf8))
        return try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(stack))
    }

    /// RFC 4231, test case 2.
    @Test func theHashIsHMAC() {
        #expect(
            keyedHash(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    }

    @Test func nothingSecretIsLeft() throws {
        let tree = try tree()
        let redacted = withholding.redacted(tree, Sensitivity())
        let text = String(decoding: try JSONEncoder().encode(redacted), as: UTF8.self)
        #expect(!text.contains("canary") && text.contains("info") && text.contains("web:1"))
        #expect(!text.contains(Array("canary3".utf8).map(String.init).joined(separator: ",")))
        #expect(
            redacted.withheldPlaces == [
                "/configs/a~1b/content", "/secrets/pin/content", "/services/web/command",
                "/services/web/environment/DB_PASSWORD", "/services/web/environment/SAME_PASSWORD",
            ])
        let environment = "/services/web/environment"
        let hash = redacted.value(at: "\(environment)/DB_PASSWORD")?.withheldHash
        #expect(hash?.count == 76)
        // Equal values are not seen to be equal, and another engine's hashes are others.
        #expect(hash != redacted.value(at: "\(environment)/SAME_PASSWORD")?.withheldHash)
        let other = Withholding(key: [1]).redacted(tree, Sensitivity())
        #expect(hash != other.value(at: "\(environment)/DB_PASSWORD")?.withheldHash)
    }

    @Test func theSameValuesAreTakenBack() throws {
        let tree = try tree()
        let redacted = withholding.redacted(tree, Sensitivity())
        let (whole, missing) = withholding.filled(redacted) { place in
            [.string("wrong")] + [tree.value(at: place)].compactMap { $0 }
        }
        #expect(missing.isEmpty && whole == tree)
        let (_, changed) = withholding.filled(redacted) { $0.hasSuffix("/DB_PASSWORD") ? [.string("other")] : [] }
        #expect(changed == redacted.withheldPlaces)
    }

    @Test func whatLooksLikeAHoleInTheStackIsNoneOfOurs() throws {
        // A user's own label that is written as ours would be is only asked for, and never found.
        let forged = JSONValue.object(["labels": .object(["withheld": .string("hmac-sha256:00")])])
        #expect(withholding.filled(forged) { _ in [] }.missing == ["/labels"])
    }
}
