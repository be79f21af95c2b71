import jaraco
import zope.event
from jaraco.context import suppress
from jaraco.functools import compose
from zope.interface import Interface, implementer


class Heard(Interface):
    pass


@implementer(Heard)
class Bell:
    pass


heard = []
zope.event.subscribers.append(heard.append)
zope.event.notify(Bell())
with suppress(ValueError):
    int("x")
print(compose(str, len)([1, 2]), Heard.providedBy(heard[0]), len(list(jaraco.__path__)), jaraco.__file__)
