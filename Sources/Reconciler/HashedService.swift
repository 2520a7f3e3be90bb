import StackModel

extension Service {
    /// The service without what containers do not see and plans do not act on (`FieldRule` class `none`), and without
    /// what it waits for: services that are equal in this have the same config hash, as with Docker Compose.
    public var hashed: Service {
        var service = self
        service.build = nil
        service.pullPolicy = nil
        service.develop = nil
        service.attach = nil
        service.expose = []
        service.replicas = 1
        service.profiles = []
        service.dependsOn = [:]
        return service
    }
}
