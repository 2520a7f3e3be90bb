import BuildKitProtocol
import EngineWire
import StackModel
import Testing

@testable import EngineAPI

@Suite struct FrontendOptionsTests {
    @Test func optionsBecomeABuild() throws {
        let options = try FrontendOptions([
            "filename": "a/Dockerfile", "target": "app", "build-arg:A": "1", "label:b": "2", "no-cache": "",
            "image-resolve-mode": "pull", "platform": "linux/amd64,linux/arm64", "force-network-mode": "none",
            "add-hosts": "db=192.0.2.1,x=::1", "shm-size": "1024", "ulimit": "nofile=1:2", "cache-from": "app:old",
            "cache-imports": #"[{"Type":"registry","Attrs":{"ref":"r/x"}},{"Type":"gha"}]"#, "cgroup-parent": "/x",
            "context:assets": "local:assets-0", "context:base::linux/amd64": "docker-image://alpine",
        ])
        let build = options.build
        #expect(options.dockerfile == "a/Dockerfile" && build.target == "app" && build.noCache && build.pull)
        #expect(build.arguments == ["A": "1"] && build.labels == ["b": "2"])
        #expect(build.platforms == ["linux/amd64", "linux/arm64"] && build.network == "none")
        #expect(build.extraHosts.map(\.address) == ["192.0.2.1", "::1"] && build.shmSize == 1024)
        #expect(build.ulimits["nofile"]?.soft == 1 && build.ulimits["nofile"]?.hard == 2)
        #expect(build.cacheFrom.sorted() == ["app:old", "r/x"])
        #expect(options.contexts == ["assets": .local("assets-0"), "base": .other("docker-image://alpine")])
    }

    @Test(arguments: [["add-hosts": "db"], ["ulimit": "nofile"], ["ulimit": "nofile=x"], ["requestid": "lint"]])
    func whatCannotBeReadIsRefused(_ options: [String: String]) {
        #expect(throws: GRPCStatus.self) { try FrontendOptions(options) }
    }

    @Test func onlyTheImageStoreIsExportedTo() throws {
        func tags(_ type: String, _ attributes: [String: String]) throws -> [String] {
            let request = try SolveRequest(
                ProtobufWriter.bytes { writer in
                    writer.message(13) { exporter in
                        exporter.text(1, type)
                        exporter.map(2, attributes)
                    }
                })
            return try FrontendOptions.tags(request.exporters)
        }
        #expect(try tags("moby", ["name": "a,b:1"]) == ["a", "b:1"])
        #expect(try tags("cacheonly", [:]) == [])
        #expect(throws: GRPCStatus.self) { try tags("local", ["dest": "/tmp"]) }
        #expect(throws: GRPCStatus.self) { try tags("image", ["name": "a", "push": "true"]) }
    }

    @Test func aDockerfileTellsWhatItWants() {
        let wants = DockerfileWants(
            """
            FROM registry.example:5000/base/app:1 AS base
            FROM busybox
            RUN --mount=type=secret,id=token,required=true --mount=type=cache,target=/c true
            RUN --mount=type=secret,target=/run/pin true
            COPY --from=ghcr.io/x/y /a /b
            """)
        #expect(wants.secrets == ["token", "pin"])
        #expect(wants.registries.isSuperset(of: ["registry.example:5000", "ghcr.io"]))
        #expect(!wants.registries.contains("busybox"))
    }
}
