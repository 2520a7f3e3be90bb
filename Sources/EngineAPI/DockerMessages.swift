import Engine
import Images
import StackModel

extension EngineError {
    /// What `message` of an answer says: tools look for Docker's words where it has some. Our own are in `diagnostics`.
    var dockerMessage: String {
        switch self {
        case .image(.notFound(let name, _)): "No such image: \(name)"
        case .networkNotFound(let name): "network \(name) not found"
        case .containerNotFound(let name): "No such container: \(name)"
        case .execNotFound(let id): "No such exec instance: \(id)"
        default: diagnostics.map(\.message).joined(separator: "; ")
        }
    }
}
