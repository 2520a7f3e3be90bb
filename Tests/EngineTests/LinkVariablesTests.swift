import InternetAddress
import Testing

@testable import Engine

@Suite struct LinkVariablesTests {
    @Test func portsAndEnvironment() throws {
        let address = try #require(IPAddress("172.17.0.5"))
        let variables = LinkVariables(
            prefix: "my-db", path: "/web/my-db", address: address, ports: [.init(5432, .tcp), .init(53, .udp)],
            environment: ["PATH=/bin", "HOME=/root", "A=b=c", "EMPTY="])
        #expect(
            variables.all.map { "\($0.name)=\($0.value)" } == [
                "MY_DB_PORT=udp://172.17.0.5:53",
                "MY_DB_PORT_53_UDP=udp://172.17.0.5:53", "MY_DB_PORT_53_UDP_ADDR=172.17.0.5",
                "MY_DB_PORT_53_UDP_PORT=53", "MY_DB_PORT_53_UDP_PROTO=udp",
                "MY_DB_PORT_5432_TCP=tcp://172.17.0.5:5432", "MY_DB_PORT_5432_TCP_ADDR=172.17.0.5",
                "MY_DB_PORT_5432_TCP_PORT=5432", "MY_DB_PORT_5432_TCP_PROTO=tcp",
                "MY_DB_NAME=/web/my-db", "MY_DB_ENV_A=b=c", "MY_DB_ENV_EMPTY=",
            ])
    }

    @Test func withoutPorts() throws {
        let address = try #require(IPAddress("fd00::5"))
        let variables = LinkVariables(prefix: "x", path: "/a/x", address: address, ports: [], environment: [])
        #expect(variables.all.map(\.name) == ["X_NAME"])
    }
}
