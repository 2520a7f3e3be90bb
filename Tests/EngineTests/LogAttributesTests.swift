import StackModel
import Testing

@testable import Engine

@Suite struct LogAttributesTests {
    private let labels = ["team": "blue & red", "tier": "one", "other": "x"]
    private let environment = ["A=b", "EMPTY=", "PATH=/bin:/usr/bin", "EQUALS=a=b", "odd"]

    @Test(arguments: [
        ([:], " "),
        (["labels": "team"], "team=blue+%26+red "),
        (["labels": "team,tier,nosuch", "env": "A"], "A=b,team=blue+%26+red,tier=one "),
        (["labels-regex": "^t"], "team=blue+%26+red,tier=one "),
        (["env": "EMPTY,EQUALS,odd"], "EMPTY=,EQUALS=a%3Db "),
        (["env-regex": "^(PATH|A)$"], "A=b,PATH=%2Fbin%3A%2Fusr%2Fbin "),
        (["tag": "web~1.é"], "tag=web~1.%C3%A9 "),
        (["labels": "", "labels-regex": "", "env": "", "tag": ""], " "),
    ])
    func textInFrontOfLines(_ options: [String: String], _ expected: String) {
        var logging = Logging()
        logging.options = options
        #expect(LogAttributes(logging, labels: labels, environment: environment).text == expected)
    }
}
