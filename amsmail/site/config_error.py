"""What is raised about a wrong mail.cfg."""


class ConfigError(Exception):
    """mail.cfg is wrong.  `problems` is a list of lines for a person: file, line, key, found, expected."""

    def __init__(self, problems):
        super().__init__("\n".join(problems))
        self.problems = problems
