import EngineWire
import StackModel
import Testing

@testable import gantry

@Suite struct TableTests {
    @Test func containersAsDockerComposePrintsThem() {
        let containers = [
            container("app", 1) {
                $0.health = .healthy
                $0.ports = [published("127.0.0.1", 8080, 80)]
            },
            container("app", 2) { $0.health = .starting },
            container("db", 1, state: .exited) {
                $0.exitCode = 1
                $0.finishedAt = "2026-03-01T11:59:58Z"
                $0.command = "postgres -c config_file=/etc/postgresql.conf"
                $0.note = "out of memory"
            },
            container("job", 1, state: .created),
            container("wörker", 1, state: .restarting) {
                $0.exitCode = 137
                $0.finishedAt = "2026-03-01T11:58:50Z"
                $0.name = "名前\u{1b}[2J"
            },
        ]
        #expect(
            renderContainers(containers, now: noon) == """
                NAME         IMAGE           COMMAND                  SERVICE   CREATED         STATUS \
                                                   PORTS
                shop-app-1   shop/app:1      "/bin/app --listen"      app       3 minutes ago   Up 3 minutes (healthy) \
                                   127.0.0.1:8080->80/tcp
                shop-app-2   shop/app:1      "/bin/app --listen"      app       3 minutes ago   Up 3 minutes (health: \
                starting)
                shop-db-1    shop/db:1       "postgres -c config_…"   db        3 minutes ago   Exited (1) 2 seconds \
                ago: out of memory
                shop-job-1   shop/job:1      "/bin/job --listen"      job       3 minutes ago   Created
                名前^[[2J    shop/wörker:1   "/bin/wörker --listen"   wörker    3 minutes ago   Restarting (137) About a \
                minute ago

                """)
    }

    @Test func containersForMachines() {
        let one = container("app", 1) {
            $0.ports = [published("0.0.0.0", 8080, 80)]
            $0.labels = ["b": "2", "a": "1"]
            $0.addresses = ["shop_front": "10.0.0.2"]
            $0.name = "q\"\n"
        }
        #expect(
            renderContainersJSON([one], now: noon) == #"""
                {"Command":"\"/bin/app --listen\"","CreatedAt":"2026-03-01T11:56:30.123456789Z","ExitCode":0,"Health":\#
                "","ID":"0123456789ab","Image":"shop/app:1","Labels":"a=1,b=2","Name":"q\"\n","Names":"q\"\n","Network\#
                s":"shop_front","Ports":"0.0.0.0:8080->80/tcp","Project":"shop","Publishers":[{"URL":"0.0.0.0","Target\#
                Port":80,"PublishedPort":8080,"Protocol":"tcp"}],"Restarts":0,"RunningFor":"3 minutes ago","Service":"\#
                app","State":"running","Status":"Up 3 minutes","Note":null}

                """#)
    }

    @Test func joinsNeighbouringPorts() {
        #expect(portsText([]) == "")
        #expect(
            portsText([
                published("0.0.0.0", 9001, 91), published("0.0.0.0", 9000, 90), published("0.0.0.0", 9002, 92),
                published("::", 9000, 90), published("0.0.0.0", 53, 53, .udp), published("0.0.0.0", 9004, 93),
                published("0.0.0.0", 65535, 65535), published("0.0.0.0", 9000, 90),
            ])
                == "0.0.0.0:9000-9002->90-92/tcp, 0.0.0.0:9004->93/tcp, 0.0.0.0:65535->65535/tcp, "
                + "0.0.0.0:53->53/udp, [::]:9000->90/tcp")
    }

    @Test func selectsWhatRuns() {
        let all = [container("b", 2), container("b", 1), container("a", 1, state: .exited), container("c", 1)]
        #expect(selectContainers(all, services: [], all: false).map(\.name) == ["shop-b-1", "shop-b-2", "shop-c-1"])
        #expect(selectContainers(all, services: ["a", "c"], all: true).map(\.name) == ["shop-a-1", "shop-c-1"])
    }

    @Test func stacks() {
        let stacks = [
            StackSummary(
                name: "shop", configFiles: ["/srv/a.yaml", "/srv/b.yaml"],
                states: ["exited": 1, "running": 3, "dead": 0]),
            StackSummary(name: "x", configFiles: [], states: [:]),
        ]
        #expect(
            renderStacks(stacks) == """
                NAME      STATUS                  CONFIG FILES
                shop      running(3), exited(1)   /srv/a.yaml,/srv/b.yaml
                x

                """)
        #expect(
            renderStacksJSON(stacks) == #"""
                [{"Name":"shop","Status":"running(3), exited(1)","ConfigFiles":"/srv/a.yaml,/srv/b.yaml"},{"Name":"x",\#
                "Status":"","ConfigFiles":""}]

                """#)
    }

    @Test func images() throws {
        let images = [
            ImageSummary(
                Id: "sha256:0123456789abcdef0123", RepoTags: ["nginx:1.27", "registry:5000/web/nginx"],
                Created: 1_772_366_400 - 3 * 86400, Size: 192_345_678),
            ImageSummary(Id: "sha256:fedcba9876543210", RepoTags: [], Created: 0, Size: 5),
        ]
        #expect(
            try ImageLooks(now: noon).listing(images).render(.table) == """
                REPOSITORY                TAG       IMAGE ID       CREATED      SIZE
                nginx                     1.27      0123456789ab   3 days ago   192MB
                registry:5000/web/nginx   latest    0123456789ab   3 days ago   192MB
                <none>                    <none>    fedcba987654   N/A          5B

                """)
        #expect(
            try ImageLooks(now: noon, truncating: false).listing([images[1]]).render(.json) == #"""
                {"Containers":"N/A","CreatedAt":"1970-01-01 00:00:00 +0000 UTC","CreatedSince":"N/A","Digest":"<none>"\#
                ,"ID":"sha256:fedcba9876543210","Repository":"<none>","SharedSize":"N/A","Size":"5B","SizeBytes":5,\#
                "Tag":"<none>","UniqueSize":"N/A","VirtualSize":"5B"}

                """#)
        var pulled = ImageSummary(Id: "sha256:aa", RepoTags: ["localhost:5000/a:1"], Created: 0, Size: 5)
        pulled.RepoDigests = ["localhost:5000/a@sha256:bb"]
        #expect(imageRows([pulled]).map(\.digest) == ["sha256:bb"])
        pulled.RepoTags = []
        #expect(imageRows([pulled]).map(\.repository) == ["localhost:5000/a"])
    }

    @Test func history() throws {
        let steps = [
            ImageHistoryItem(
                Id: "sha256:0123456789abcdef", Created: 1_772_366_400 - 3 * 86400, CreatedBy: "CMD [\"sh\"]", Tags: nil,
                Size: 0, Comment: "c"),
            ImageHistoryItem(
                Id: "<missing>", Created: 0, CreatedBy: "/bin/sh -c #(nop)\tADD file:0123456789 in / and much more",
                Tags: nil, Size: 1500, Comment: ""),
        ]
        #expect(
            try ImageLooks(now: noon).history(steps, human: true).render(.table) == """
                IMAGE          CREATED      CREATED BY                                      SIZE      COMMENT
                0123456789ab   3 days ago   CMD ["sh"]                                      0B        c
                <missing>      N/A          /bin/sh -c #(nop) ADD file:0123456789 in / a…   1.5kB

                """)
    }

    @Test func version() {
        let server = VersionReply(
            Version: "0.1.0", ApiVersion: "1.44", MinAPIVersion: "1.24", Os: "linux", Arch: "amd64",
            KernelVersion: "6.1")
        #expect(
            renderVersion(server, onlyClient: false, .text) == """
                gantry \(gantryVersion)
                engine 0.1.0 (API 1.44, linux/amd64, kernel 6.1)

                """)
        #expect(renderVersion(nil, onlyClient: false, .text) == "gantry \(gantryVersion)\nengine not running\n")
        #expect(renderVersion(nil, onlyClient: true, .text) == "gantry \(gantryVersion)\n")
        #expect(
            renderVersion(nil, onlyClient: false, .json)
                == #"{"Client":{"Version":"\#(gantryVersion)"},"Server":null}"# + "\n")
    }
}
