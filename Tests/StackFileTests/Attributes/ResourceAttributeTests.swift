import StackModel
import Testing

@testable import StackFile

/// What stands at the top level besides services.
struct ResourceAttributeTests {
    private let services = "services: {a: {image: x}}\n"

    // MARK: - networks

    private func network(_ line: String) throws -> Network? {
        try stack(services + "networks: {n: {\(line)}}").networks["n"]
    }

    @Test func networks() throws {
        #expect(try stack(services + "networks: {n: }").networks["n"] == Network())
        #expect(try network("") == Network())
        #expect(try network("name: my-app-net")?.name == "my-app-net")
        #expect(try network("driver: macvlan, driver_opts: {parent: eth0}")?.driver == "macvlan")
        #expect(try network("driver_opts: {foo: bar, baz: 1}")?.driverOptions == ["foo": "bar", "baz": "1"])
        #expect(try network("internal: true")?.isInternal == true)
        #expect(try network("attachable: true")?.attachable == true)
        #expect(try network("enable_ipv4: false, enable_ipv6: true")?.enableIPv4 == false)
        #expect(try network("enable_ipv6: true")?.enableIPv6 == true)
        #expect(
            try network("labels: {com.example.department: IT, n: 1}")?.labels == [
                "com.example.department": "IT", "n": "1",
            ])
        #expect(
            try network("labels: [com.example.department=IT, empty]")?.labels == [
                "com.example.department": "IT", "empty": "",
            ])
    }

    @Test func externalNetworks() throws {
        #expect(try network("external: true") == with(Network()) { ($0.external, $0.name) = (true, "n") })
        let named = with(Network()) { ($0.external, $0.name) = (true, "outside") }
        #expect(try network("external: true, name: outside") == named)
        #expect(try network("external: {name: outside}") == named)
        #expect(try network("external: false") == Network())
        #expect(try network("external: \"true\"")?.external == true)
    }

    @Test func addresses() throws {
        let expected = with(Network()) {
            $0.ipamDriver = "default"
            $0.ipamOptions = ["foo": "bar", "baz": "0"]
            $0.subnets = [
                with(Subnet(subnet: "172.28.0.0/16", gateway: "172.28.5.254")) {
                    $0.ipRange = "172.28.5.0/24"
                    $0.auxiliaryAddresses = ["host1": "172.28.1.5", "host2": "172.28.1.6"]
                }, Subnet(subnet: "2001:db8::/64"),
            ]
        }
        let found = try network(
            """
            ipam: {driver: default, options: {foo: bar, baz: "0"}, config: [{subnet: 172.28.0.0/16, \
            ip_range: 172.28.5.0/24, gateway: 172.28.5.254, aux_addresses: {host1: 172.28.1.5, host2: 172.28.1.6}}, \
            {subnet: "2001:db8::/64"}]}
            """)
        #expect(found == expected)
    }

    @Test func defaultNetwork() throws {
        #expect(try stack(services).networks == ["default": Network()])
        #expect(try stack(services + "networks: {default: {name: x, external: true}}").networks["default"]?.name == "x")
    }

    // MARK: - volumes

    @Test func volumes() throws {
        let volumes = try stack(
            services + """
                volumes:
                  some-volume:
                  other-volume: {driver: flocker, driver_opts: {foo: bar, baz: 1}, labels: {foo: bar}}
                  another-volume: {name: user_specified_name, labels: [foo=bar]}
                  external-volume: {external: true}
                  other-external-volume: {external: {name: my-cool-volume}}
                  external-volume3: {name: this-is-volume3, external: true, x-bar: baz}
                """
        ).volumes
        #expect(volumes["some-volume"] == Volume())
        #expect(
            volumes["other-volume"]
                == with(Volume()) {
                    $0.driver = "flocker"
                    $0.driverOptions = ["foo": "bar", "baz": "1"]
                    $0.labels = ["foo": "bar"]
                })
        #expect(
            volumes["another-volume"]
                == with(Volume()) { ($0.name, $0.labels) = ("user_specified_name", ["foo": "bar"]) })
        for (key, name) in [
            ("external-volume", "external-volume"), ("other-external-volume", "my-cool-volume"),
            ("external-volume3", "this-is-volume3"),
        ] {
            #expect(volumes[key] == with(Volume()) { ($0.external, $0.name) = (true, name) })
        }
    }

    @Test func bindsOfTheLocalDriver() throws {
        let volume = try stack(
            services + "volumes: {data: {driver: local, driver_opts: {type: none, o: bind, device: ./data}}}"
        ).volumes["data"]
        #expect(volume?.driverOptions["device"] == "/work/demo/data")
    }

    // MARK: - configs and secrets

    @Test func configs() throws {
        let configs = try stack(
            services + """
                configs:
                  from_file: {file: ./settings.ini}
                  from_text: {content: "a=${TOKEN}\\nb=$$x\\n"}
                  from_variable: {environment: TOKEN}
                  named: {name: other, content: "", labels: {a: 1}, template_driver: golang}
                  outside: {external: true}
                  renamed: {external: true, name: theirs}
                  old: {external: {name: theirs}}
                """
        ).configs
        #expect(
            configs["from_file"]
                == with(FileObject(content: Array("[main]\n".utf8))) { $0.file = "/work/demo/settings.ini" })
        #expect(configs["from_text"] == FileObject(content: Array("a=secret\nb=$x\n".utf8)))
        #expect(configs["from_variable"] == with(FileObject(content: Array("secret".utf8))) { $0.variable = "TOKEN" })
        let named = with(FileObject(content: [])) {
            ($0.name, $0.labels, $0.templateDriver) = ("other", ["a": "1"], "golang")
        }
        #expect(configs["named"] == named)
        #expect(configs["outside"] == with(FileObject()) { ($0.external, $0.name) = (true, "outside") })
        for key in ["renamed", "old"] {
            #expect(configs[key] == with(FileObject()) { ($0.external, $0.name) = (true, "theirs") })
        }
    }

    @Test func secrets() throws {
        let secrets = try stack(
            services + """
                secrets:
                  from_file: {file: ./key.pem}
                  from_variable: {environment: TOKEN}
                  stored: {name: secret, driver: secret-bucket, driver_opts: {OptionA: value, n: 1}, labels: [a=b]}
                  templated: {environment: TOKEN, template_driver: golang}
                  outside: {external: true}
                  renamed: {external: true, name: theirs}
                """
        ).secrets
        #expect(
            secrets["from_file"] == with(FileObject(content: Array("key\n".utf8))) { $0.file = "/work/demo/key.pem" })
        #expect(secrets["from_variable"] == with(FileObject(content: Array("secret".utf8))) { $0.variable = "TOKEN" })
        let stored = with(FileObject()) {
            ($0.name, $0.driver, $0.labels) = ("secret", "secret-bucket", ["a": "b"])
            $0.driverOptions = ["OptionA": "value", "n": "1"]
        }
        #expect(secrets["stored"] == stored)
        #expect(secrets["templated"]?.templateDriver == "golang")
        #expect(secrets["outside"] == with(FileObject()) { ($0.external, $0.name) = (true, "outside") })
        #expect(secrets["renamed"] == with(FileObject()) { ($0.external, $0.name) = (true, "theirs") })
    }

    // MARK: - models and names

    @Test func models() throws {
        let models = try stack(
            services
                + "models: {foo: {model: ai/model, context_size: 1024, runtime_flags: [--some-flag]}, "
                + "bar: {model: b, name: other}}"
        ).models
        #expect(
            models["foo"]
                == with(Model(model: "ai/model")) { ($0.contextSize, $0.runtimeFlags) = (1024, ["--some-flag"]) })
        #expect(models["bar"] == with(Model(model: "b")) { $0.name = "other" })
    }

    @Test func projectName() throws {
        #expect(try stack("name: myapp\n" + services).name == "myapp")
        #expect(try stack(services).name == "demo")
        let text = "name: ${NAME:-plain}\nservices: {a: {image: x, container_name: \"${COMPOSE_PROJECT_NAME}-web\"}}"
        #expect(try stack(text).services["a"]?.containerName == "plain-web")
        #expect(try stack(text, environment: ["NAME": "given"]).services["a"]?.containerName == "given-web")
    }

    @Test func extensionsAreTakenAnywhere() throws {
        let plain = try stack(services)
        let extended = try stack(
            "services: {a: {image: x, x-foo: [1], deploy: {x-a: }, logging: {x-b: c}}}\nx-foo: bar\n"
                + "x-nested: {a: {b: c}}"
        )
        #expect(extended.networks == plain.networks && extended.services.keys == plain.services.keys)
        #expect(try stack("services: {x-foo: {image: x}}").services.keys.sorted() == ["x-foo"])
    }
}
