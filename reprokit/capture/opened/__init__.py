"""Files that a run opens, seen through an audit hook of the interpreter, and through adapters where that sees nothing."""
