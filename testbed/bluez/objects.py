"""Objects on a D-Bus bus, shown the way BlueZ shows its own: an ObjectManager at the root tells of all of them.

dbus-fast has an ObjectManager too, but sends its signals from each object's own path; clients of BlueZ listen to
the root alone. So messages are answered by hand here.
"""

import asyncio
import contextlib
import logging

from dbus_fast import Message, MessageType

OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
PEER = "org.freedesktop.DBus.Peer"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"
UNKNOWN_PROPERTY = "org.freedesktop.DBus.Error.UnknownProperty"
CLIENTS_ONLY = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"


class CallError(Exception):
    """What a method call is answered with when it fails."""

    def __init__(self, name, text=""):
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


def failure(name, text=""):
    return CallError(f"org.bluez.Error.{name}", text)


def method(interface, returns=""):
    """Marks a coroutine method as a D-Bus method of this interface: takes the call, gives the values returned."""

    def mark(function):
        function.interface = interface
        function.returns = returns
        return function

    return mark


class BusObject:
    """One object: a path, and properties (dbus-fast Variants) by interface."""

    def __init__(self, tree, path, properties):
        self.tree = tree
        self.path = path
        self.properties = properties

    def update(self, interface, **values):
        """Changes properties, and says so on the bus if the object is there."""
        self.properties[interface].update(values)
        if self.tree.objects.get(self.path) is self:
            self.tree.signal(self.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, values, []])

    def get(self, interface, name):
        return self.properties[interface][name].value

    def client_gone(self, client):
        """A client has left the bus; what it wanted is wanted no more."""


class ObjectTree:
    """All objects of one service."""

    def __init__(self, bus):
        self.bus = bus
        self.objects = {}
        self.tasks = set()

    async def start(self):
        """Answers from now on, and learns when clients leave."""
        self.bus.add_message_handler(self.on_message)
        await self.bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="AddMatch",
                signature="s",
                body=[CLIENTS_ONLY],
            )
        )

    def add(self, added):
        self.objects[added.path] = added
        self.signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [added.path, added.properties])

    def remove(self, removed):
        """Removes an object with all below it, those first."""
        below = [path for path in self.objects if path.startswith(removed.path + "/")]
        for path in [*sorted(below, key=len, reverse=True), removed.path]:
            if gone := self.objects.pop(path, None):
                self.signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, list(gone.properties)])

    def below(self, path):
        return [found for found in self.objects.values() if found.path.startswith(path + "/")]

    def signal(self, path, interface, member, signature, body):
        self.bus.send(Message.new_signal(path, interface, member, signature, body))

    def spawn(self, work):
        """Runs a coroutine of this service's; asyncio itself keeps no task alive."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def on_message(self, message):
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, new_owner = message.body
            if not new_owner:
                for known in list(self.objects.values()):
                    known.client_gone(name)
            return None
        if message.message_type is not MessageType.METHOD_CALL or message.interface == PEER:
            return None
        self.spawn(self.answer(message))
        return True

    async def answer(self, call):
        try:
            signature, body = await self.perform(call)
            answer = Message.new_method_return(call, signature, body)
        except CallError as error:
            answer = Message.new_error(call, error.name, error.text)
        except asyncio.CancelledError:  # bumble cancels what waits for a link that has ended
            answer = Message.new_error(call, "org.bluez.Error.Failed", "Not connected")
        except Exception as error:
            logging.exception("%s of %s", call.member, call.path)
            answer = Message.new_error(call, "org.bluez.Error.Failed", repr(error))
        logging.info("%s %s -> %s %s", call.path, call.member, answer.error_name or "ok", answer.body)
        # The caller, or the whole bus, may be gone by now.
        with contextlib.suppress(ConnectionError):
            self.bus.send(answer)

    async def perform(self, call):
        if call.interface == OBJECT_MANAGER and call.member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [{path: known.properties for path, known in self.objects.items()}]
        known = self.objects.get(call.path)
        if known is None:
            raise CallError(UNKNOWN_OBJECT, call.path)
        if call.interface == PROPERTIES:
            return self.perform_on_properties(known, call)
        function = getattr(known, call.member, None)
        if getattr(function, "interface", None) != call.interface:
            raise CallError(UNKNOWN_METHOD, f"{call.interface}.{call.member}")
        returned = await function(call)
        return function.returns, [] if returned is None else [returned]

    @staticmethod
    def perform_on_properties(known, call):
        properties = known.properties.get(call.body[0], {})
        if call.member == "GetAll":
            return "a{sv}", [properties]
        name = call.body[1]
        if name not in properties:
            raise CallError(UNKNOWN_PROPERTY, name)
        if call.member == "Get":
            return "v", [properties[name]]
        known.update(call.body[0], **{name: call.body[2]})
        return "", []
