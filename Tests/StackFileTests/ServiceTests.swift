import StackModel
import Testing

@testable import StackFile

struct ServiceTests {
    @Test func watchRules() throws {
        let service = try loadService(
            """
            build: .
            develop:
              watch:
                - {action: sync, path: ./src, target: /app, ignore: node_modules/, include: ["*.js"], initial_sync: true}
                - {action: rebuild, path: package.json}
                - action: sync+exec
                  path: /abs/conf
                  target: /etc/app
                  exec: {command: nginx -s reload, user: root, working_dir: /srv, privileged: true, environment: {A: 1}}
                - {action: sync+restart, path: conf, target: /etc/conf}
                - {action: restart, path: conf}
            """)
        let rules = try #require(service.develop?.watch)
        #expect(rules.map(\.action) == [.sync, .rebuild, .syncExec, .syncRestart, .restart])
        #expect(rules.allSatisfy { $0.path.hasPrefix("/") } && rules[2].path == "/abs/conf")
        #expect(rules[0].target == "/app" && rules[0].ignore == ["node_modules/"] && rules[0].include == ["*.js"])
        #expect(rules[0].initialSync && !rules[1].initialSync && rules[1].target == nil)
        var hook = Hook(command: ["nginx", "-s", "reload"])
        (hook.user, hook.workingDirectory, hook.privileged) = ("root", "/srv", true)
        hook.environment = ["A": "1"]
        #expect(rules[2].exec == hook && rules[3].exec == nil)
    }

    @Test func processFields() throws {
        let service = try loadService(
            """
            command: sh -c "echo 'a b'" x\\ y
            entrypoint: ["/bin/tini", "--"]
            environment: {A: 1, B: 1.50, C: true, D: , E: "", F: 010, G: "$$x", H: }
            user: "1000:1000"
            working_dir: /srv
            hostname: h
            domainname: example.org
            container_name: the-web
            labels: ["a=b=c", "empty"]
            init: true
            read_only: "true"
            privileged: false
            tty: true
            stdin_open: true
            cap_add: [NET_ADMIN, NET_ADMIN]
            cap_drop: [ALL]
            stop_signal: SIGINT
            stop_grace_period: 1m30s
            group_add: [10, wheel]
            security_opt: ["no-new-privileges:true"]
            pid: host
            ipc: shareable
            oom_score_adj: -500
            sysctls: {net.core.somaxconn: 1024}
            ulimits: {nproc: 65535, nofile: {soft: 10, hard: 20}}
            """, environment: ["H": "inherited"])
        #expect(service.command == ["sh", "-c", "echo 'a b'", "x y"])
        #expect(service.entrypoint == ["/bin/tini", "--"])
        #expect(
            service.environment == [
                "A": "1", "B": "1.5", "C": "true", "D": nil, "E": "", "F": "8", "G": "$x", "H": "inherited",
            ])
        #expect(service.user == "1000:1000" && service.workingDirectory == "/srv")
        #expect(service.hostname == "h" && service.domainname == "example.org" && service.containerName == "the-web")
        #expect(service.labels == ["a": "b=c", "empty": ""])
        #expect(
            service.initProcess == true && service.readOnly && !service.privileged && service.tty && service.stdinOpen)
        #expect(service.capAdd == ["NET_ADMIN"] && service.capDrop == ["ALL"])
        #expect(service.stopSignal == "SIGINT" && service.stopGracePeriod == 90_000_000_000)
        #expect(service.groupAdd == ["10", "wheel"] && service.securityOptions == ["no-new-privileges:true"])
        #expect(service.pidMode == "host" && service.ipcMode == "shareable" && service.oomScoreAdjust == -500)
        #expect(service.sysctls == ["net.core.somaxconn": "1024"])
        #expect(service.ulimits == ["nproc": Ulimit(soft: 65535, hard: 65535), "nofile": Ulimit(soft: 10, hard: 20)])
    }

    @Test func defaults() throws {
        var expected = Service(image: "app")
        expected.networks = ["default": NetworkAttachment()]
        #expect(try loadService("") == expected)
    }

    @Test func anEmptyCommandClearsTheImages() throws {
        #expect(try loadService("command: []\nentrypoint: \"\"").command == [])
        #expect(try loadService("command: []\nentrypoint: \"\"").entrypoint == [])
        #expect(try loadService("command:").command == nil)
    }

    @Test func resources() throws {
        let old = try loadService(
            """
            mem_limit: 50m
            mem_reservation: 10M
            memswap_limit: -1
            cpus: "0.5"
            cpu_shares: 512
            cpuset: 0-1
            pids_limit: 100
            shm_size: 64mb
            """
        )
        #expect(old.resources.memory == 50 << 20 && old.resources.memoryReservation == 10 << 20)
        #expect(old.resources.memorySwap == -1 && old.resources.nanoCPUs == 500_000_000)
        #expect(old.resources.cpuShares == 512 && old.resources.cpuset == "0-1" && old.resources.pids == 100)
        #expect(old.shmSize == 64 << 20)
        let new = try loadService(
            """
            deploy:
              replicas: 3
              resources: {limits: {cpus: "1.5", memory: 1g, pids: 7}, reservations: {memory: 512k}}
              restart_policy: {condition: on-failure, max_attempts: 4}
            """)
        #expect(new.resources.memory == 1 << 30 && new.resources.memoryReservation == 512 << 10)
        #expect(new.resources.nanoCPUs == 1_500_000_000 && new.resources.pids == 7)
        #expect(new.replicas == 3 && new.restart == RestartPolicy(mode: .onFailure, attemptsMax: 4))
    }

    @Test(arguments: [
        ("restart: no", RestartPolicy(mode: .no)), ("restart: always", RestartPolicy(mode: .always)),
        ("restart: on-failure", RestartPolicy(mode: .onFailure)),
        ("restart: on-failure:3", RestartPolicy(mode: .onFailure, attemptsMax: 3)),
        ("restart: unless-stopped\ndeploy: {restart_policy: {condition: none}}", RestartPolicy(mode: .no)),
        ("restart: unless-stopped", RestartPolicy(mode: .unlessStopped)),
        ("deploy: {restart_policy: {condition: any}}", RestartPolicy(mode: .always)),
        ("deploy: {restart_policy: {condition: none}}", RestartPolicy(mode: .no)),
    ])
    func restart(lines: String, policy: RestartPolicy) throws {
        #expect(try loadService(lines).restart == policy)
    }

    @Test func healthchecks() throws {
        let check = try loadService(
            """
            healthcheck:
              {test: curl -f x, interval: 90s, timeout: 1h, retries: 3, start_period: 500ms, start_interval: 1s}
            """
        ).healthcheck
        var expected = Healthcheck(test: ["CMD-SHELL", "curl -f x"])
        expected.interval = 90_000_000_000
        expected.timeout = 3_600_000_000_000
        expected.retries = 3
        expected.startPeriod = 500_000_000
        expected.startInterval = 1_000_000_000
        #expect(check == expected)
        #expect(try loadService("healthcheck: {disable: true}").healthcheck == Healthcheck(test: ["NONE"]))
        #expect(try loadService("healthcheck: {test: [CMD, a]}").healthcheck == Healthcheck(test: ["CMD", "a"]))
    }

    @Test func dependencies() throws {
        let project = MemoryProject(
            """
            services:
              web:
                image: a
                depends_on:
                  db: {condition: service_healthy, restart: true}
                  job: {condition: service_completed_successfully}
                  sleeping: {condition: service_started, required: false}
              db: {image: a, network_mode: "service:job", depends_on: [job]}
              job: {image: a}
              side: {image: a, pid: "service:db"}
              sleeping: {image: a, profiles: [p]}
            """)
        let services = try project.load().stack.services
        #expect(
            services["web"]?.dependsOn == [
                "db": Dependency(condition: .healthy, restart: true), "job": Dependency(condition: .completed),
            ])
        #expect(services["db"]?.dependsOn == ["job": Dependency(condition: .started)])
        #expect(services["side"]?.dependsOn == ["db": Dependency(condition: .started, restart: true)])
        #expect(services["db"]?.networkMode == "service:job" && services["db"]?.networks.isEmpty == true)
    }

    @Test func networks() throws {
        let loaded = try MemoryProject(
            """
            services:
              web:
                image: a
                networks:
                  front: {aliases: [w], ipv4_address: 10.1.2.3, gw_priority: 5, priority: 9}
                  back:
                mac_address: 02:42:ac:11:65:43
              db: {image: a, networks: [back]}
              lonely: {image: a, network_mode: none}
            networks:
              front:
                driver: bridge
                internal: true
                enable_ipv6: true
                ipam:
                  config:
                    - {subnet: 10.1.2.0/24, gateway: 10.1.2.1, ip_range: 10.1.2.0/25, aux_addresses: {a: 10.1.2.9}}
                labels: [x=y]
              back: {external: true, name: shared}
              unused: {}
            """
        ).load()
        let web = try #require(loaded.stack.services["web"])
        var front = NetworkAttachment(aliases: ["w"])
        front.ipv4Address = "10.1.2.3"
        front.gatewayPriority = 5
        front.priority = 9
        front.macAddress = "02:42:ac:11:65:43"
        #expect(web.networks == ["front": front, "back": NetworkAttachment()])
        #expect(loaded.stack.networks.keys.sorted() == ["back", "front"])
        let network = try #require(loaded.stack.networks["front"])
        #expect(network.name == nil && network.isInternal && network.enableIPv6 && network.labels == ["x": "y"])
        var subnet = Subnet(subnet: "10.1.2.0/24", gateway: "10.1.2.1")
        subnet.ipRange = "10.1.2.0/25"
        subnet.auxiliaryAddresses = ["a": "10.1.2.9"]
        #expect(network.subnets == [subnet])
        #expect(loaded.stack.networks["back"]?.name == "shared" && loaded.stack.networks["back"]?.external == true)
        #expect(loaded.stack.services["lonely"]?.networks.isEmpty == true)
    }

    @Test func theDefaultNetworkIsThereWhenUsed() throws {
        let loaded = try MemoryProject("services: {a: {image: x}}\nnetworks: {default: {driver: bridge}}").load()
        #expect(loaded.stack.networks["default"]?.driver == "bridge")
        let host = try MemoryProject("services: {a: {image: x, network_mode: host}}").load()
        #expect(host.stack.networks.isEmpty)
    }

    @Test func configsAndSecrets() throws {
        var project = MemoryProject(
            """
            services:
              web:
                image: a
                configs: [c1, {source: c2, target: /etc/x, mode: 0440, uid: "7", gid: "8"}]
                secrets: [s1, {source: s1, target: other, mode: "0400"}]
            configs:
              c1: {file: ./conf/one}
              c2: {content: "port=${PORT} $$x"}
            secrets:
              s1: {environment: SECRET}
            """)
        project.files["/work/demo/conf/one"] = "1"
        project.environment["PORT"] = "80"
        project.environment["SECRET"] = "top"
        let stack = try project.load().stack
        let web = try #require(stack.services["web"])
        #expect(
            web.configs == [
                FileMount(source: "c1", target: "/c1"),
                FileMount(source: "c2", target: "/etc/x", uid: 7, gid: 8, mode: 0o440),
            ])
        #expect(
            web.secrets == [
                FileMount(source: "s1", target: "/run/secrets/s1"),
                FileMount(source: "s1", target: "/run/secrets/other", mode: 0o400),
            ])
        #expect(stack.configs["c1"]?.file == "/work/demo/conf/one" && stack.configs["c1"]?.content == [0x31])
        #expect(stack.configs["c2"]?.content == Array("port=80 $x".utf8) && stack.configs["c2"]?.file == nil)
        #expect(stack.secrets["s1"]?.content == Array("top".utf8))
    }

    @Test func environmentFiles() throws {
        var project = MemoryProject(
            """
            services:
              web:
                image: a
                env_file:
                  - a.env
                  - {path: b.env, format: raw}
                  - {path: none.env, required: false}
                environment: {LAST: explicit, FROM: "${FROM_DOTENV}"}
                label_file: labels
                labels: {own: x}
            """)
        project.files["/work/demo/.env"] = "FROM_DOTENV=dot\nHOME=/other\n"
        project.files["/work/demo/a.env"] = "ONE=1\nLAST=file\nTWO=${ONE}2 # c\nHOME2=$HOME\n"
        project.files["/work/demo/b.env"] = "TWO='$raw'\n"
        project.files["/work/demo/labels"] = "own=y\nmore=z\n"
        let service = try #require(try project.load().stack.services["web"])
        #expect(
            service.environment == [
                "ONE": "1", "LAST": "explicit", "TWO": "'$raw'", "FROM": "dot", "HOME2": "/home/me",
            ])
        #expect(service.labels == ["own": "x", "more": "z"])
    }

    @Test func hostsDevicesAndNames() throws {
        let service = try loadService(
            """
            extra_hosts: ["a:1.2.3.4", "b=::1", "c:[::1]", "d:host-gateway", "a=1.2.3.4"]
            dns: 1.1.1.1
            dns_search: [a.b]
            dns_opt: [ndots:2]
            devices: ["/dev/null:/dev/n:rw", /dev/zero, "/dev/fuse:r"]
            """)
        #expect(
            service.extraHosts == [
                ExtraHost(name: "a", address: "1.2.3.4"), ExtraHost(name: "b", address: "::1"),
                ExtraHost(name: "c", address: "::1"), ExtraHost(name: "d", address: "host-gateway"),
            ])
        #expect(service.dns == ["1.1.1.1"] && service.dnsSearch == ["a.b"] && service.dnsOptions == ["ndots:2"])
        #expect(service.devices == ["/dev/null:/dev/n:rw", "/dev/zero:/dev/zero:rwm", "/dev/fuse:/dev/fuse:r"])
    }

    @Test func marks() throws {
        let loaded = try MemoryProject(
            """
            services:
              web:
                image: a
                ports:
                  - 8080:80
                  - 90-91:90-91
                depends_on: [db]
              db: {image: b}
            volumes: {v: {}}
            """
        ).load()
        func place(_ path: String) -> String? { loaded.stack.source(of: path)?.description }
        #expect(place("services.web") == "compose.yaml:2:3")
        #expect(place("services.web.image") == "compose.yaml:3:12")
        #expect(place("services.web.ports") == "compose.yaml:4:5")
        #expect(place("services.web.ports[0]") == "compose.yaml:5:9")
        #expect(place("services.web.ports[2]") == "compose.yaml:6:9")
        #expect(place("services.web.depends_on.db") == "compose.yaml:7:18")
        #expect(place("services.db.user") == "compose.yaml:8:3")
    }
}
