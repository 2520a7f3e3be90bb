import Testing

@testable import StackFile

struct CoreSchemaTests {
    @Test(arguments: [
        ("", Scalar.Value.null), ("~", .null), ("null", .null), ("true", .boolean(true)), ("FALSE", .boolean(false)),
        ("yes", .string), ("on", .string), ("12", .integer(12)), ("-12", .integer(-12)), ("+3", .integer(3)),
        ("0x1F", .integer(31)), ("0o17", .integer(15)), ("010", .integer(8)), ("0b101", .integer(5)),
        ("1_000", .integer(1000)), ("1.50", .float(1.5)), (".5", .float(0.5)), ("1e3", .float(1000)),
        ("22:22", .string), ("2024-01-01", .string), ("0x", .string), ("0x-1", .string), ("-", .string),
        ("1e", .string), ("08", .float(8)), (".inf", .float(.infinity)), (".", .string), ("1.2.3", .string),
    ])
    func plainScalars(text: String, value: Scalar.Value) {
        #expect(resolvePlainScalar(text) == value)
    }

    @Test(arguments: [
        (1.5, "1.5"), (1.0, "1"), (1e20, "1e+20"), (1e5, "100000"), (1e6, "1e+06"), (1234567.5, "1.2345675e+06"),
        (0.00001, "1e-05"),
        (0.0001, "0.0001"), (123456.789, "123456.789"), (-0.25, "-0.25"),
        (1.2345678901234569e+23, "1.2345678901234569e+23"),
    ])
    func numbersPrintAsGoDoes(value: Double, text: String) {
        #expect(goNumberText(value) == text)
    }
}
