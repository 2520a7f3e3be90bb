import Images
import Testing

@Suite struct ImageReferenceTests {
    @Test(arguments: [
        ("nginx", "docker.io/library/nginx:latest", "nginx:latest"), ("a/b:1", "docker.io/a/b:1", "a/b:1"),
        ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
    ])
    func namesAreNormalised(_ text: String, _ canonical: String, _ familiar: String) throws {
        let reference = try ImageReference(parsing: text)
        #expect(reference.canonical == canonical)
        #expect(reference.familiar == familiar)
    }

    @Test(arguments: [
        "", "UPPER", "a//b", "a:b:c", "a@sha256:12", "a b", "-x", "a/../b", "x:" + String(repeating: "t", count: 200),
    ])
    func nonsenseIsRefused(_ text: String) {
        #expect(throws: ImageError.self) { try ImageReference(parsing: text) }
    }
}
