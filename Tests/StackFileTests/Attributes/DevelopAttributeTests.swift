import StackModel
import Testing

@testable import StackFile

/// Development, models and GPUs.
struct DevelopAttributeTests {
    private func watch(_ line: String) throws -> Develop.Watch? {
        try onlyService("build: .\ndevelop: {watch: [{\(line)}]}").develop?.watch.first
    }

    @Test func actions() throws {
        for action in Develop.Watch.Action.allCases {
            let found = try watch("path: ./src, action: \(action.rawValue), target: /src, exec: {command: [a]}")
            #expect(found?.action == action && found?.path == "/work/demo/src" && found?.target == "/src")
        }
        #expect(try watch("path: /abs, action: rebuild") == Develop.Watch(path: "/abs", action: .rebuild))
        try expect("image: a", \.develop, nil)
        try expect("develop: {watch: []}", \.develop, Develop())
    }

    @Test func patterns() throws {
        let line = "path: ., action: sync, target: /app"
        #expect(try watch(line + ", ignore: [node_modules/, \"*.tmp\"]")?.ignore == ["node_modules/", "*.tmp"])
        #expect(try watch(line + ", ignore: node_modules/")?.ignore == ["node_modules/"])
        #expect(try watch(line + ", include: [\"*.js\"]")?.include == ["*.js"])
        #expect(try watch(line + ", include: \"*.js\"")?.include == ["*.js"])
        #expect(try watch(line + ", initial_sync: true")?.initialSync == true)
    }

    @Test func commands() throws {
        let hook = with(Hook(command: ["npm", "run", "build"])) {
            $0.user = "root"
            $0.privileged = true
            $0.workingDirectory = "/app"
            $0.environment = ["FOO": "BAR"]
        }
        let found = try watch(
            "path: ., action: sync+exec, target: /app, exec: {command: npm run build, user: root, privileged: true, "
                + "working_dir: /app, environment: [FOO=BAR]}")
        #expect(found?.exec == hook)
    }

    @Test func models() throws {
        let top = "models: {foo: {model: ai/model}, my_model: {model: ai/model}}"
        try expect("models: [foo]", \.models, ["foo": ModelBinding()], top: top)
        try expect("models: {my_model: }", \.models, ["my_model": ModelBinding()], top: top)
        try expect(
            "models: {foo: {endpoint_var: MODEL_URL, model_var: MODEL}}", \.models,
            [
                "foo": with(ModelBinding()) {
                    $0.endpointVariable = "MODEL_URL"
                    $0.modelVariable = "MODEL"
                }
            ], top: top)
    }

    @Test func gpus() throws {
        let all = with(DeviceRequest()) {
            $0.capabilities = ["gpu"]
            $0.count = -1
        }
        try expect("gpus: all", \.deviceRequests, [all])
        try expect(
            "gpus: [{driver: 3dfx, device_ids: [obiwan], capabilities: [direct3D, gpu], options: {eggs: spam}}]",
            \.deviceRequests,
            [
                with(DeviceRequest()) {
                    $0.driver = "3dfx"
                    $0.deviceIDs = ["obiwan"]
                    $0.capabilities = ["direct3D", "gpu"]
                    $0.options = ["eggs": "spam"]
                }
            ])
        try expect("gpus: [{driver: nvidia, count: 2}]", \.deviceRequests.first?.count, 2)
        try expect("gpus: [{count: 2}]", \.deviceRequests.first?.capabilities, ["gpu"])
        try expect("gpus: [{driver: nvidia}]", \.deviceRequests.first?.count, -1)
    }
}
