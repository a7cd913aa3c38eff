"""Frozen records.

`dataclasses` would do the same; it is not used because importing it costs more (12 ms) than all the rest that a
server process imports before its greeting, and a process is started for every connection.
"""


class Value:
    """A frozen record: its fields are the class's `__slots__`, in order; `defaults` gives values to those left out.

    Raises TypeError where a field has no value or an argument no field, as a function call would.
    """

    __slots__ = ()
    defaults = {}

    def __init__(self, *given, **named):
        fields = self.__slots__
        if len(given) > len(fields):
            raise TypeError(f"{type(self).__name__} has {len(fields)} fields, {len(given)} were given")
        values = {**self.defaults, **dict(zip(fields, given)), **named}
        if values.keys() != set(fields):
            wrong = sorted(values.keys() ^ set(fields))
            raise TypeError(f"{type(self).__name__}: missing or unknown: {', '.join(wrong)}")
        for name in fields:
            object.__setattr__(self, name, values[name])

    def __setattr__(self, name, value):
        raise AttributeError(f"{type(self).__name__} is frozen")

    def but(self, **changes):
        """The same record with some fields changed."""
        return type(self)(**{**{name: getattr(self, name) for name in self.__slots__}, **changes})

    def __eq__(self, other):
        return type(self) is type(other) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __hash__(self):
        return hash((type(self), *(getattr(self, name) for name in self.__slots__)))

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.__slots__)})"
