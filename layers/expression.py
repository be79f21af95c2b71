"""Regular expressions that are compiled when they are first used: a command uses few of those that the program has."""

import re

TYPE_CHECKING = False  # as checkers know it; to import `typing` takes longer than to compile some expressions
if TYPE_CHECKING:
    expression = re.compile
else:

    class _Expression:
        """What `re.compile` returns, once something of it is asked for; each method is looked up once."""

        def __init__(self, text, flags=0) -> None:
            self.asked = (text, flags)

        def __getattr__(self, name: str) -> object:
            found = getattr(re.compile(*self.asked), name)  # `re` keeps what it has compiled
            setattr(self, name, found)
            return found

    expression = _Expression
