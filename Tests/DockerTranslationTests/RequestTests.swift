import FoundationEssentials
import JSONDocument
import StackModel
import Testing

@testable import DockerTranslation

/// What a request means, by what a client sends.
@Suite struct RequestTests {
    private func request(_ text: String) throws -> ContainerRequest {
        try ContainerRequest(try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8)))
    }

    private func service(_ text: String, exposed: [String] = []) throws -> Service {
        try Service(try request(text), exposed: exposed)
    }

    private func host(_ members: String) throws -> Service { try service(#"{"Image":"i","HostConfig":{\#(members)}}"#) }

    /// As Go reads JSON: capitals do not matter, and a name as it should be comes first.
    @Test func namesInAnyCapitals() throws {
        let wanted = try request(
            #"{"image": "i", "HostConfig": {"CPURealtimeRuntime": 4, "DNS": ["1"], "Dns": ["2"], "other": 1}}"#)
        #expect(wanted.config["Image"] == .string("i"))
        #expect(wanted.hostConfig["CpuRealtimeRuntime"] == .integer(4))
        #expect(wanted.hostConfig["Dns"] == .array([.string("2")]))
        #expect(wanted.hostConfig["other"] == .integer(1))
    }

    @Test func nullsAndEmptyTextsAreNotSaid() throws {
        let service = try service(
            #"""
            {"Image":"i","Cmd":null,"Entrypoint":null,"User":"","WorkingDir":"","Env":null,"Labels":null,"Volumes":null,
             "Healthcheck":null,"Unknown":{"a":1},
             "HostConfig":{"Binds":null,"MemorySwappiness":-1,"PidsLimit":0,"Memory":0,"NetworkMode":"default",
              "RestartPolicy":{"Name":"","MaximumRetryCount":0},"LogConfig":{"Type":"","Config":{}},"ShmSize":0,
              "PortBindings":null,"CapAdd":null,"Init":null,"IpcMode":"","Ulimits":null}}
            """#)
        var expected = Service(image: "i")
        expected.logging = Logging()
        #expect(service == expected)
    }

    @Test(arguments: [
        (#""sh -c x""#, ["sh -c x"]), (#"["sh","-c","x"]"#, ["sh", "-c", "x"]),
    ])
    func commandsAreTextsOrLists(json: String, command: [String]) throws {
        #expect(try service(#"{"Image":"i","Cmd":\#(json)}"#).command == command)
    }

    @Test func anEntrypointOfOneEmptyTextIsNone() throws {
        #expect(try service(#"{"Image":"i","Entrypoint":[""],"Cmd":["a"]}"#).entrypoint == [])
        #expect(try service(#"{"Image":"i","Entrypoint":[]}"#).entrypoint == nil)
    }

    @Test func environment() throws {
        let service = try service(#"{"Image":"i","Env":["A=1","B=","C","D=x=y"]}"#)
        #expect(service.environment == ["A": "1", "B": "", "C": nil, "D": "x=y"])
    }

    @Test func publishedPorts() throws {
        let ports = try service(
            #"""
            {"Image":"i","ExposedPorts":{"90/udp":{}},"HostConfig":{"PublishAllPorts":true,"PortBindings":{
             "80/tcp":[{"HostIp":"","HostPort":"8080"},{"HostIp":"127.0.0.1","HostPort":""}],
             "81/udp":[{"HostIp":"0.0.0.0","HostPort":"9000-9010"}],"82/tcp":[]}}}
            """#, exposed: ["80/tcp", "70/tcp"]
        ).ports
        var range = Port(target: 81, published: 9000, transport: .udp)
        range.publishedLast = 9010
        #expect(
            ports == [
                Port(target: 80, published: 8080), Port(target: 80, hostIP: "127.0.0.1"), range, Port(target: 82),
                Port(target: 70), Port(target: 90, transport: .udp),
            ])
    }

    @Test func mounts() throws {
        let service = try service(
            #"""
            {"Image":"i","Volumes":{"/own":{},"/data":{}},"HostConfig":{
             "Binds":["/src/:/dst:ro,rslave","kept:/data"],"Tmpfs":{"/t":"size=64m,mode=700,exec"},
             "Mounts":[
              {"Type":"bind","Source":"/b","Target":"/c","ReadOnly":true,"BindOptions":{"NonRecursive":true}}]}}
            """#)
        var bind = Mount(kind: .bind, source: "/src", target: "/dst", readOnly: true)
        (bind.createHostPath, bind.propagation) = (true, "rslave")
        var second = Mount(kind: .bind, source: "/b", target: "/c", readOnly: true)
        second.recursion = .disabled
        var tmpfs = Mount(kind: .tmpfs, target: "/t")
        (tmpfs.size, tmpfs.mode) = (64 << 20, 0o700)
        #expect(
            service.mounts == [
                bind, Mount(kind: .volume, source: "kept", target: "/data"), second, tmpfs,
                Mount(kind: .volume, target: "/own"),
            ])
        #expect(furtherTmpfsOptions("size=64m,mode=700,exec,uid=7,rw") == ["exec", "uid=7"])
    }

    @Test(arguments: [
        (#""Memory":1000"#, "Minimum memory limit allowed is 6MB"),
        (#""Memory":"a""#, "HostConfig.Memory: must be a number"),
        (#""Binds":["relative/path:/x"]"#, "includes invalid characters for a local volume name"),
        (#""Binds":["/a:x"]"#, "mount path must be absolute"),
        (#""Binds":["/a:/x","/b:/x"]"#, "Duplicate mount point: /x"),
        (#""Mounts":[{"Type":"image","Source":"i","Target":"/x"}]"#, "HostConfig.Mounts[0].Type"),
        (#""Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"Subpath":"a"}}]"#, "VolumeOptions.Subpath"),
        (#""RestartPolicy":{"Name":"sometimes"}"#, "unknown policy 'sometimes'"),
        (#""RestartPolicy":{"Name":"always","MaximumRetryCount":3}"#, "can only be used with 'on-failure'"),
        (#""RestartPolicy":{"Name":"always"},"AutoRemove":true"#, "can't create 'AutoRemove' container"),
        (#""LogConfig":{"Type":"syslog"}"#, "no log driver named 'syslog' is registered"),
        (#""NanoCpus":5,"CpuQuota":5000"#, "Nano CPUs and CPU Quota cannot both be set"),
        (#""DeviceRequests":[{"Driver":"nvidia"}]"#, "could not select device driver \"nvidia\""),
        (#""StorageOpt":{"size":"1g"}"#, "HostConfig.StorageOpt"), (#""UTSMode":"mine""#, "HostConfig.UTSMode"),
        (#""PortBindings":{"80/tcp":[{"HostPort":"x"}]}"#, "neither a port nor a range"),
        (#""Tmpfs":{"/x":"nosuch"}"#, "invalid tmpfs option"), (#""IpcMode":"none""#, "HostConfig.IpcMode"),
    ])
    func whatCannotBeDoneIsRefused(members: String, words: String) throws {
        let error = #expect(throws: TranslationError.self) { try host(members) }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        (#""Hostname":"h""#, "", "hostname and the network mode"),
        (
            "", #""Links":["a"]"#,
            "container type network can't be used with links. This would result in undefined behavior"
        ),
        ("", #""Dns":["192.0.2.1"]"#, "dns and the network mode"),
        ("", #""ExtraHosts":["a:192.0.2.1"]"#, "custom host-to-IP mapping and the network mode"),
        (#""MacAddress":"02:00:00:00:00:01""#, "", "mac-address and the network mode"),
        (
            #""NetworkingConfig":{"EndpointsConfig":{"container:x":{"MacAddress":"02:00:00:00:00:01"}}}"#, "",
            "mac-address and the network mode"
        ),
        ("", #""PortBindings":{"80/tcp":[]}"#, "port publishing and the container type network mode"),
        ("", #""PublishAllPorts":true"#, "port publishing and the container type network mode"),
        (#""ExposedPorts":{"80/tcp":{}}"#, "", "port exposing and the container type network mode"),
    ])
    func sharedNetworksTakeNoOthersNames(top: String, host: String, words: String) throws {
        let top = top.isEmpty ? "" : "\(top),"
        let members = host.isEmpty ? "" : ",\(host)"
        let error = #expect(throws: TranslationError.self) {
            try service(#"{"Image":"i",\#(top)"HostConfig":{"NetworkMode":"container:x"\#(members)}}"#)
        }
        #expect(error?.description == "conflicting options: \(words)")
    }

    @Test func theHostsNetworkTakesNoLinks() throws {
        let links = #expect(throws: TranslationError.self) { try host(#""NetworkMode":"host","Links":["a"]"#) }
        #expect(
            links?.description
                == "conflicting options: host type networking can't be used with links. This would result in undefined "
                + "behavior")
        let mac = #expect(throws: TranslationError.self) {
            try service(#"{"Image":"i","MacAddress":"02:00:00:00:00:01","HostConfig":{"NetworkMode":"host"}}"#)
        }
        #expect(mac?.description == "conflicting options: mac-address and the network mode")
        #expect(
            try host(#""NetworkMode":"host","Dns":["192.0.2.1"],"ExtraHosts":["a:192.0.2.1"]"#).dns == ["192.0.2.1"])
    }

    /// As old clients send what was not said.
    @Test(arguments: ["container:x", "host"])
    func emptyIsNoConflict(mode: String) throws {
        let made = try service(
            #"""
            {"Image":"i","Hostname":"","Domainname":"","MacAddress":"","ExposedPorts":{},
             "HostConfig":{"NetworkMode":"\#(mode)","Links":[],"Dns":[],"ExtraHosts":null,"PortBindings":{},
              "PublishAllPorts":false},
             "NetworkingConfig":{"EndpointsConfig":{"\#(mode)":{"MacAddress":"","Links":null}}}}
            """#, exposed: ["80/tcp"])
        #expect(made.networkMode == mode)
    }

    @Test func networks() throws {
        func names(_ text: String) throws -> [String] {
            guard case .networks(let endpoints) = try NetworkChoice(try request(text)) else { return [] }
            return endpoints.map(\.network)
        }
        #expect(try names(#"{"Image":"i"}"#) == ["bridge"])
        #expect(
            try names(
                #"{"HostConfig":{"NetworkMode":"default"},"NetworkingConfig":{"EndpointsConfig":{"default":{}}}}"#) == [
                    "bridge"
                ])
        #expect(
            try names(#"{"HostConfig":{"NetworkMode":"b"},"NetworkingConfig":{"EndpointsConfig":{"a":null,"b":{}}}}"#)
                == ["b", "a"])
        #expect(try names(#"{"NetworkingConfig":{"EndpointsConfig":{"a":{"Aliases":["x"]}}}}"#) == ["a"])
        #expect(try NetworkChoice(try request(#"{"HostConfig":{"NetworkMode":"host"}}"#)) == .host)
        #expect(try NetworkChoice(try request(#"{"HostConfig":{"NetworkMode":"container:web"}}"#)) == .container("web"))
    }

    /// A container is asked about in the words that it was asked for in.
    @Test func hostConfigIsEchoed() throws {
        let shown = try request(
            #"""
            {"Image":"i","HostConfig":{
             "Memory":7000000,"MemorySwappiness":-1,"NetworkMode":"default","LogConfig":{"Type":""}}}
            """#
        ).shownHostConfig
        #expect(shown["Memory"] == .integer(7_000_000))
        #expect(shown["MemorySwappiness"] == .null)
        #expect(shown["NetworkMode"] == .string("bridge"))
        #expect(shown["LogConfig"] == .object(["Type": .string("json-file"), "Config": .object([:])]))
        #expect(shown["ShmSize"] == .integer(64 << 20))
    }

    /// What a stack's service is shown as means the same service when it is sent back.
    @Test func servicesGoThereAndBack() throws {
        var service = Service(image: "i")
        service.command = ["a", "b"]
        service.environment = ["A": "1", "B": nil]
        service.capAdd = ["NET_ADMIN"]
        service.privileged = true
        service.resources.memory = 64 << 20
        service.resources.pids = 9
        service.restart = RestartPolicy(mode: .onFailure, attemptsMax: 3)
        service.ulimits = ["nofile": Ulimit(soft: 1, hard: 2)]
        service.ports = [Port(target: 80, published: 8080, hostIP: "127.0.0.1")]
        service.devices = ["/dev/null:/dev/x:rw"]
        service.stopGracePeriod = 5_000_000_000
        service.healthcheck = Healthcheck(test: ["CMD", "true"])
        let shown = ContainerRequest(service, networkMode: "bridge", autoRemove: false)
        var back = try Service(shown, exposed: [])
        back.healthcheck = service.healthcheck
        #expect(back == service)
    }
}
