"""What is wrong with a prompt."""


class PromptProblem(ValueError):
    """A prompt cannot be used as it is; its text says why."""


class TemplateProblem(PromptProblem):
    """A template does not render. *part* is system or template, *line* 1-based within it, 0 where it is not known."""

    def __init__(self, part: str, line: int, reason: str) -> None:
        super().__init__(f"the prompt's {part} does not render{f', line {line}' if line else ''}: {reason}")
        self.part = part
        self.line = line
        self.reason = reason
