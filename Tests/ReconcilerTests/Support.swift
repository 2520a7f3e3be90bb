import Reconciler
import StackModel
import Testing
