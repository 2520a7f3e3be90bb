import InternetAddress
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1..2.3", "+1.2.3.4", " 1.2.3.4", "1.2.3.4 ", "a.b.c.d",
    ])
    func textThatIsNoIPv4AddressIsRefused(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test func ipv4TextGoesRound() {
        for text in ["0.0.0.0", "255.255.255.255", "10.89.1.2", "127.0.0.1"] {
            #expect(IPv4Address(text)?.description == text)
            #expect(IPv4Address(text).flatMap { IPv4Address(bytes: $0.bytes) }?.description == text)
        }
    }

    @Test func networksKnowTheirEnds() throws {
        let network = try #require(CIDR4("10.89.1.77/24"))
        #expect(network.description == "10.89.1.0/24")
        #expect("\(network.firstHost) \(network.lastHost) \(network.last)" == "10.89.1.1 10.89.1.254 10.89.1.255")
        #expect(CIDR4("10.0.0.4/31").map { "\($0.firstHost) \($0.lastHost)" } == "10.0.0.4 10.0.0.5")
        #expect(CIDR4("0.0.0.0/0")?.last == IPv4Address("255.255.255.255"))
        #expect(CIDR4("10.0.0.0/33") == nil)
        #expect(CIDR4("10.0.0.0/") == nil)
        #expect(CIDR4("10.0.0.0") == nil)
    }

    @Test func overlapIsSymmetric() throws {
        let wide = try #require(CIDR4("10.0.0.0/8"))
        let narrow = try #require(CIDR4("10.89.0.0/24"))
        let other = try #require(CIDR4("11.0.0.0/8"))
        #expect(wide.overlaps(narrow) && narrow.overlaps(wide) && wide.contains(narrow) && !narrow.contains(wide))
        #expect(!wide.overlaps(other))
    }

    @Test func ipv6TextIsCanonical() throws {
        #expect(IPv6Address("FD00:0:0::1")?.description == "fd00::1")
        #expect(IPv6Address("fd00::1%eth0") == nil)
        let network = try #require(CIDR6("fd00:89:0:1:2::3/64"))
        #expect(network.description == "fd00:89:0:1::/64")
        #expect(network.last.description == "fd00:89:0:1:ffff:ffff:ffff:ffff")
        #expect(try network.contains(#require(IPv6Address("fd00:89:0:1::9"))))
        #expect(try !network.contains(#require(IPv6Address("fd00:89:0:2::9"))))
        #expect(CIDR6("::/0")?.last.description == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
        #expect(CIDR6("::1/128")?.last.description == "::1")
    }

    @Test func ethernetAddressesAreUnicast() {
        #expect(MACAddress("02:42:0A:59:01:02")?.description == "02:42:0a:59:01:02")
        #expect(MACAddress("01:00:5e:00:00:01") == nil)
        #expect(MACAddress("00:00:00:00:00:00") == nil)
        #expect(MACAddress("2:42:0a:59:01:02") == nil)
        #expect(IPv4Address("10.89.1.2").map { MACAddress($0).description } == "02:42:0a:59:01:02")
    }
}
