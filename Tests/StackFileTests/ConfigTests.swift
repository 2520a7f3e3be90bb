import StackModel
import Testing

@testable import StackFile

/// What `config` shows, lists and leaves out.
struct ConfigTests {
    private let project = MemoryProject(
        """
        services:
          web: {image: w, depends_on: [db], profiles: [p], networks: [front], volumes: ["data:/d"]}
          db: {image: d, models: [m]}
          api:
            build: .
            volumes: ["other:/o"]
            depends_on: {web: {condition: service_started, required: false}}
          off: {image: o, profiles: [q]}
        networks: {front: , unused: }
        volumes: {data: , other: }
        models: {m: {model: ai/m}, unused: {model: ai/u}}
        """)

    @Test func namedServicesComeWithWhatTheyNeed() throws {
        let web = try project.document {
            $0.targetServices = ["web"]
            $0.selectsTargets = true
        }
        #expect(web.serviceNames == ["db", "web"])
        #expect(web.networkNames == ["default", "front"] && web.volumeNames == ["data"] && web.models == ["ai/m"])
        let all = try project.document { $0.selectsTargets = true }
        #expect(all.serviceNames == ["api", "db"] && all.volumeNames == ["other"])
        #expect(
            all.images == ["d", "demo-api"] && all.profiles == ["p", "q"] && all.disabledServices == ["off", "web"])
        #expect(all.stack?.disabledServices == ["off", "web"])
        let unselected = try project.document { $0.targetServices = ["web"] }
        #expect(unselected.serviceNames == ["api", "db", "web"])
    }

    @Test func unknownServicesAreErrors() throws {
        func errors(_ target: String, _ text: String) -> [String] {
            do {
                _ = try MemoryProject(text).document {
                    $0.targetServices = [target]
                    $0.selectsTargets = true
                    $0.checksConsistency = false
                }
                return []
            } catch let error as StackFileError {
                return error.diagnostics.map { $0.message + ($0.hint.map { "; \($0)" } ?? "") }
            } catch {
                return ["another error"]
            }
        }
        #expect(errors("wbe", "services: {web: {image: a}}") == ["no such service: wbe; did you mean 'web'?"])
        #expect(errors("web", "services: {web: {image: a, depends_on: [gone]}}") == ["no such service: gone"])
    }

    @Test func unusedResourcesStayOnDemand() throws {
        let kept = try project.document { $0.keepsUnused = true }
        #expect(kept.networkNames == ["default", "front", "unused"] && kept.models == ["ai/m", "ai/u"])
    }

    @Test func stepsCanBeLeftOut() throws {
        let text = """
            name: "n-${V:-x}"
            services:
              a:
                image: "${I}"
                container_name: ${C:-cc}
                build: {context: ., args: [GONE, HERE]}
                env_file: [a.env]
                depends_on: {b: {condition: service_started}}
              b: {image: b}
            networks: {front: }
            """
        var project = MemoryProject(text)
        project.environment.merge(["I": "i", "HERE": "1"]) { $1 }
        project.files["/work/demo/a.env"] = "E=1\n"
        let raw = try project.document { $0.interpolates = false }.render(.yaml)
        #expect(raw.contains("image: ${I}") && raw.contains("name: n-v-x\n"))
        #expect(!raw.contains("GONE") && !raw.contains("HERE") && raw.contains("path: /work/demo/a.env"))
        let bare = try project.document {
            $0.interpolates = false
            $0.normalizes = false
        }.render(.yaml)
        #expect(bare.contains("name: n-${V:-x}\n") && bare.contains("- GONE"))
        let plain = try project.document {
            $0.normalizes = false
            $0.keepsUnused = true
            $0.resolvesEnvironment = false
        }.render(.yaml)
        #expect(plain.contains("GONE: null") && plain.contains("required: true") && plain.contains("front: {}"))
        #expect(plain.contains("env_file") && !plain.contains("E: \"1\""))
    }

    @Test func pathsOfOtherFilesAreSeenFromTheProject() throws {
        var project = MemoryProject(
            "include: [../inc/c.yaml]\nservices: {a: {extends: {file: sub/b.yaml, service: b}, volumes: [./x:/x]}}\n"
        )
        project.files["/work/inc/c.yaml"] = "services: {i: {image: i, volumes: [\"./v:/v\"]}}\n"
        project.files["/work/demo/sub/b.yaml"] = "services: {b: {image: b, build: ./ctx}}\n"
        let text = try project.document { $0.resolvesPaths = false }.render(.yaml)
        for path in ["source: ./x\n", "source: ../inc/v\n", "context: sub/ctx\n"] { #expect(text.contains(path)) }
    }

    @Test func pathsAreMadeRelative() {
        #expect(PathText.relative("/a/b/c", to: "/a/b") == "c" && PathText.relative("/a/b", to: "/a/b") == ".")
        #expect(PathText.relative("/a/c/d", to: "/a/b/x") == "../../c/d" && PathText.relative("/", to: "/a") == "..")
    }

    @Test func imagesAreReplaced() throws {
        let loaded = try MemoryProject("services: {a: {image: one}, b: {build: .}, c: {image: three}}").document()
        #expect(loaded.imagesByService == ["a": "one", "c": "three"])
        let other = loaded.replacingImages(["a": "one@sha256:0"])
        #expect(other.imagesByService == ["a": "one@sha256:0", "c": "three"])
        let lock = LoadedDocument.renderImages(["a": "x", "b": "y"], .yaml)
        #expect(lock == "services:\n  a:\n    image: x\n  b:\n    image: \"y\"\n")
    }
}
