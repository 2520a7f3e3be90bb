import StackModel

/// The build checks of BuildKit: https://docs.docker.com/reference/build-checks/
public enum LintRule: String, CaseIterable, Sendable {
    case stageNameCasing = "StageNameCasing"
    case fromAsCasing = "FromAsCasing"
    case noEmptyContinuation = "NoEmptyContinuation"
    case consistentInstructionCasing = "ConsistentInstructionCasing"
    case duplicateStageName = "DuplicateStageName"
    case reservedStageName = "ReservedStageName"
    case jsonArgsRecommended = "JSONArgsRecommended"
    case maintainerDeprecated = "MaintainerDeprecated"
    case undefinedArgInFrom = "UndefinedArgInFrom"
    case undefinedVar = "UndefinedVar"
    case workdirRelativePath = "WorkdirRelativePath"
    case multipleInstructionsDisallowed = "MultipleInstructionsDisallowed"
    case legacyKeyValueFormat = "LegacyKeyValueFormat"
    case redundantTargetPlatform = "RedundantTargetPlatform"
    case secretsUsedInArgOrEnv = "SecretsUsedInArgOrEnv"
    case invalidDefaultArgInFrom = "InvalidDefaultArgInFrom"
    case fromPlatformFlagConstDisallowed = "FromPlatformFlagConstDisallowed"
    case copyIgnoredFile = "CopyIgnoredFile"
    case invalidDefinitionDescription = "InvalidDefinitionDescription"
    case exposeProtoCasing = "ExposeProtoCasing"
    case exposeInvalidFormat = "ExposeInvalidFormat"

    /// What the rule asks for, in BuildKit's words.
    public var summary: String {
        switch self {
        case .stageNameCasing: "Stage names should be lowercase"
        case .fromAsCasing: "The 'as' keyword should match the case of the 'from' keyword"
        case .noEmptyContinuation: "Empty continuation lines will become errors in a future release"
        case .consistentInstructionCasing:
            "All commands within the Dockerfile should use the same casing (either upper or lower)"
        case .duplicateStageName: "Stage names should be unique"
        case .reservedStageName: "Reserved words should not be used as stage names"
        case .jsonArgsRecommended:
            "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals"
        case .maintainerDeprecated:
            "The MAINTAINER instruction is deprecated, use a label instead to define an image author"
        case .undefinedArgInFrom: "FROM command must use declared ARGs"
        case .undefinedVar: "Variables should be defined before their use"
        case .workdirRelativePath:
            "Relative workdir without an absolute workdir declared within the build can have unexpected results "
                + "if the base image changes"
        case .multipleInstructionsDisallowed:
            "Multiple instructions of the same type should not be used in the same stage"
        case .legacyKeyValueFormat: "Legacy key/value format with whitespace separator should not be used"
        case .redundantTargetPlatform:
            "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"
        case .secretsUsedInArgOrEnv: "Sensitive data should not be used in the ARG or ENV commands"
        case .invalidDefaultArgInFrom:
            "Default value for global ARG results in an empty or invalid base image name"
        case .fromPlatformFlagConstDisallowed: "FROM --platform flag should not use a constant value"
        case .copyIgnoredFile: "Attempting to Copy file that is excluded by .dockerignore"
        case .invalidDefinitionDescription:
            "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. "
                + "If this is not intended to be a description comment, add an empty line or comment "
                + "between the instruction and the comment."
        case .exposeProtoCasing: "Protocol in EXPOSE instruction should be lowercase"
        case .exposeInvalidFormat:
            "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an "
                + "error in a future release"
        }
    }

    /// `stage-name-casing`: the rule in addresses and in diagnostics' codes.
    public var slug: String {
        switch self {
        case .jsonArgsRecommended: return "json-args-recommended"
        default:
            var result = ""
            for character in rawValue {
                if character.isUppercase, !result.isEmpty { result += "-" }
                result += character.lowercased()
            }
            return result
        }
    }

    public var url: String { "https://docs.docker.com/go/dockerfile/rule/\(slug)/" }

    /// Only where `# check=experimental=` asks for it.
    public var isExperimental: Bool { self == .invalidDefinitionDescription }
}

/// One finding of a check.
public struct LintWarning: Hashable, Sendable {
    public var rule: LintRule
    /// In BuildKit's words.
    public var message: String
    public var range: SourceRange
}

extension Dockerfile {
    /// A warning as the rest of Gantry has them; code `dockerfile.stage-name-casing`.
    public func diagnostic(_ warning: LintWarning) -> Diagnostic {
        file.diagnostic(
            .warning, code: "dockerfile." + warning.rule.slug, "\(warning.rule.rawValue): \(warning.message)",
            at: warning.range.start, hint: "see \(warning.rule.url)")
    }
}
