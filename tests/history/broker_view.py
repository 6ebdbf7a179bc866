# SPDX-License-Identifier: MPL-2.0
"""Checks what one life of a broker wrote against the rules for a broker, line by line.

These need no other history: 6 (the reply of the latest delivery), 7 (of the session that holds it),
8 (no dispatch after the deadline), 10 (the books balance at every scrape, and agree with the
broker's own lines), 11 (no request waits while there is room), 18 and 19 (by class, and within one by how
long it has waited), and the broker's side of 1, 5, 9 and 12. All lines of one event of the core have the
same time, so a rule that holds between events is checked when the time changes.
"""

from lines import Unreadable

NEVER_GIVEN = frozenset(("NO_WORKER", "BUSY", "DRAINING", "DENIED", "INVALID", "TOO_LARGE", "EXPIRED",
                         "CONVERSATION_LOST"))
REPLIES = frozenset(("OK", "APP_ERROR"))
GIVEN = frozenset(("WORKER_LOST", "DEADLINE"))
ADMIN = ("riposte.", "mmi.")
#: The deadline in a delivery of a request whose time does not count while a worker has it.
NEVER = 2**63 - 1
#: The priority of a request that states none, and the highest class.
PRIORITY, HIGHEST = "4", 9


class Session:
    __slots__ = ("role", "name", "service", "principal", "window", "held", "takes", "joined", "left",
                 "place")


class Service:
    """waiting: requests outside conversations; room: workers that would take one."""
    __slots__ = ("name", "waiting", "room", "example", "queues", "prioritised", "throttled", "unordered")

    def __init__(self, name):
        self.name, self.waiting, self.room, self.example = name, 0, 0, None
        self.queues, self.prioritised = {}, False  # by session and priority
        self.throttled = False  # its terms may keep requests back
        self.unordered = False  # its terms may put one first


class Queue:
    """What waits of one client with one priority, with the time since when. began: it has waited for its turn
    since then, or since later; latest: it had a turn then; returned: that delivered nothing."""
    __slots__ = ("priority", "calls", "began", "latest", "returned")

    def __init__(self, priority, time):
        self.priority, self.calls, self.began, self.latest, self.returned = int(priority), {}, time, 0, False


class Call:
    """A request as this broker knows it: one id of one session. keyed: it has an idempotency key, or is to become a
    job, so it waits for an execution, which is a request of the broker's own client. made: of a job, the attempts
    before. token, other: of its deliveries under way, of which there are two if it was hedged; token is the later
    one. all: it is for all workers, and once accepted one of its copies, which the broker's own client has for each."""
    __slots__ = ("instance", "session", "request", "key", "time", "name", "service", "priority", "deadline",
                 "attempts", "untimed", "dispatched",
                 "accepted", "order", "token", "other", "delivered", "dispatches", "answered", "final",
                 "final_time", "final_attempts", "final_parts", "places", "admin", "lost", "keyed", "hedge",
                 "all", "committed", "made")

    def __init__(self, instance, session, request, key, time, place, keyed=False, hedge=False,
                 for_all=False):
        self.instance, self.session, self.request = instance, session, request
        self.key, self.time, self.keyed, self.hedge, self.all = key, time, keyed, hedge, for_all
        self.other = self.committed = None  # committed: of dispatches, that whose reply was taken
        self.service = self.deadline = self.attempts = self.token = self.answered = None
        self.untimed, self.dispatched = False, None
        self.final = self.final_time = self.final_attempts = None
        self.final_parts = 0, 0  # passed on of its reply, and their bytes
        self.accepted = self.admin = self.lost = False
        self.order = self.delivered = self.made = 0
        self.dispatches = []  # (attempt, time, worker's session), without those that were never sent
        self.places = [place]

    @property
    def bound(self):
        """Whether it may wait for one worker only, where others with room do not matter."""
        return self.key != "0" or self.all


class Delivery:
    __slots__ = ("call", "worker", "conversation", "place")

    def __init__(self, call, worker, conversation, place):
        self.call, self.worker, self.conversation, self.place = call, worker, conversation, place


class Conversation:
    __slots__ = ("worker", "answered", "running", "order", "client", "key")

    def __init__(self, client, key):
        self.client, self.key = client, key
        self.worker = self.running = None
        self.answered = False
        self.order = 0


class Broker:
    """One life of a broker. calls: lists of Call, by the name of the request."""

    def __init__(self, name, problems, calls):
        self.name, self.problems, self.calls = name, problems, calls
        self.sessions, self.services, self.open, self.deliveries = {}, {}, {}, {}
        self.conversations = {}
        self.named = {}  # sessions by the peer's name
        self.accepted = self.finals = self.running = self.late = self.scrapes = 0
        self.began = self.time = self.age_step = None
        self.ended = False
        self.unordered = False  # there are weights, or were: 18 and 19 are not of each request
        self.unsettled, self.unanswered, self.uncancelled = set(), {}, {}
        self.handlers = {name[3:]: getattr(self, name) for name in dir(self) if name.startswith("on_")}

    def line(self, place, time, event, fields):
        if time != self.time:
            self.settle(time, place)
        handler = self.handlers.get(event)
        if not handler:
            self.problem("format", f"an event {event!r} that no broker writes", None, place)
        else:
            handler(place, time, fields)

    def problem(self, invariant, text, call, *places):
        self.problems.add(invariant, f"{text} ({self.name})", call.request if call else None,
                          [*(call.places if call else ()), *places])

    def settle(self, time, place):
        """Checks what must hold now that the event of the former time is over."""
        if self.time is None:
            self.began = time
        elif time < self.time:
            self.problem("format", "the time of a broker goes back", None, place)
        if self.unsettled:
            for service in self.unsettled:
                self.problem(11, f"a request for {service.name!r} waits while a worker has room",
                             service.example, place)
            self.unsettled = set()
        if self.unanswered:
            for call in self.unanswered.values():
                if not call.admin and not call.keyed and not call.all and self.listens(call.session):
                    self.problem(1, "a request came in, and was neither accepted nor refused", call)
            self.unanswered = {}
        if self.uncancelled:
            for call in self.uncancelled.values():
                if self.listens(call.session):
                    self.problem("cancel", "a cancel of an open request did not end it", call)
            self.uncancelled = {}
        self.time = time

    def listens(self, session):
        one = self.sessions.get(session)
        return one is not None and one.takes

    # ---- Its own life ---------------------------------------------------------------------------

    def on_begin(self, place, time, fields):
        pass

    def on_gap(self, place, time, fields):
        raise Unreadable(f"lines of {self.name} are missing: its history ended, because it could not be "
                         "written, and began again; nothing can be said of it")

    def on_ages(self, place, time, fields):
        self.age_step = int(fields["step"])

    def on_throttled(self, place, time, fields):
        self.service(fields["service"]).throttled = True

    def on_unordered(self, place, time, fields):
        if "service" in fields:
            self.service(fields["service"]).unordered = True
        else:
            self.unordered = True

    def on_end(self, place, time, fields):
        self.ended = True
        for call in self.open.values():
            self.problem(1, "the broker ended in good order, and a request did not", call, place)

    def on_scrape(self, place, time, fields):
        self.scrapes += 1
        said = tuple(int(fields[key]) for key in ("accepted", "finals", "queued", "running", "late"))
        if said[0] != said[1] + said[2] + said[3]:
            self.problem(10, f"accepted {said[0]} is not finals {said[1]} + queued {said[2]} "
                         f"+ running {said[3]}", None, place)
        queued = self.accepted - self.finals - self.running
        mine = (self.accepted, self.finals, queued, self.running, self.late)
        if said != mine:
            self.problem(10, "accepted, finals, queued, running, late are said to be "
                         f"{said}, and the lines before add up to {mine}", None, place)

    # ---- Sessions -------------------------------------------------------------------------------

    def service(self, name):
        one = self.services.get(name)
        if one is None:
            one = self.services[name] = Service(name)
        return one

    @staticmethod
    def has_room(session):
        return session.takes and session.role == "worker" and session.held < session.window

    def change(self, session, **values):
        """Changes a worker's session, and counts the workers with room of its service."""
        service = self.service(session.service)
        before = self.has_room(session)
        for name, value in values.items():
            setattr(session, name, value)
        service.room += self.has_room(session) - before
        self.look(service)

    def look(self, service):
        if service.waiting and service.room and not service.throttled:
            self.unsettled.add(service)
        elif self.unsettled:
            self.unsettled.discard(service)

    def on_join(self, place, time, fields):
        session = Session()
        session.role, session.name = fields["role"], fields["name"]
        session.service, session.principal = fields["service"], fields.get("principal")
        session.window, session.held, session.takes = int(fields.get("window", 0)), 0, False
        session.joined, session.left, session.place = time, None, place
        if fields["session"] in self.sessions:
            self.problem("format", "one number for two sessions", None, place)
        self.sessions[fields["session"]] = session
        self.named.setdefault((session.role, session.name), []).append(session)
        if session.role == "worker":
            self.change(session, takes=True)
        else:
            session.takes = True

    def on_window(self, place, time, fields):
        session = self.sessions.get(fields["session"])
        if session:
            self.change(session, window=int(fields["window"]))

    def on_drain(self, place, time, fields):
        session = self.sessions.get(fields["session"])
        if session and session.role == "worker":
            self.change(session, takes=False)
        elif session:
            session.takes = False

    def on_leave(self, place, time, fields):
        session = self.sessions.get(fields["session"])
        if not session or session.left is not None:
            self.problem("format", "a session ends that is not there", None, place)
            return
        self.on_drain(place, time, fields)
        session.left = time

    # ---- Requests -------------------------------------------------------------------------------

    def on_request(self, place, time, fields):
        key = fields["session"], fields["id"]
        call = Call(self, fields["session"], fields["req"], fields["conv"], time, place,
                    "keyed" in fields or "job" in fields, "hedge" in fields, "all" in fields)
        call.made = call.delivered = int(fields.get("made", 0))
        call.name, call.priority = fields["service"], fields.get("priority", PRIORITY)
        call.admin = call.name.startswith(ADMIN)
        if call.request != "-":
            self.calls.setdefault(call.request, []).append(call)
        self.unanswered[key] = call

    def on_cancel(self, place, time, fields):
        key = fields["session"], fields["id"]
        call = self.open.get(key)
        if call:
            call.places.append(place)
            self.uncancelled[key] = call

    def on_accept(self, place, time, fields):
        key = fields["session"], fields["id"]
        call = self.unanswered.pop(key, None)
        if not call or key in self.open:
            self.problem(3, "a request is accepted that did not come in, or is open", call, place)
            return
        call.places.append(place)
        self.accepted += 1
        call.accepted, call.order = True, self.accepted
        call.service = self.service(fields["service"])
        call.deadline, call.attempts = int(fields["deadline"]), int(fields["attempts"])
        self.open[key] = call
        self.waits(call, 1)
        self.queue_of(call, time).calls[call] = time

    def on_refuse(self, place, time, fields):
        call = self.unanswered.pop((fields["session"], fields["id"]), None)
        self.accepted += 1
        self.finals += 1
        if not call:
            self.problem(3, "a request is refused that did not come in", None, place)
            return
        call.places.append(place)
        call.final, call.final_time, call.final_attempts = fields["status"], time, 0
        if call.final not in NEVER_GIVEN:
            self.problem(5, f"a request is refused with {call.final}", call)

    def waits(self, call, change):
        if call.bound:
            return
        call.service.waiting += change
        call.service.example = call
        self.look(call.service)

    def queue_of(self, call, time):
        service = call.service
        service.prioritised = service.prioritised or call.priority != PRIORITY
        queue = service.queues.get((call.session, call.priority))
        if queue is None:
            queue = service.queues[call.session, call.priority] = Queue(call.priority, time)
        return queue

    def leaves_queue(self, call):
        queue = call.service.queues.get((call.session, call.priority))
        if queue and queue.calls.pop(call, None) is not None and not queue.calls:
            del call.service.queues[call.session, call.priority]

    def takes_turn(self, call, time):
        queue = self.queue_of(call, time)
        ordered = not self.unordered and not call.service.unordered
        if not call.bound and ordered and call.service.prioritised and self.age_step and not queue.returned:
            self.check_class(call, queue, time)
        queue.latest = time
        if not call.bound:  # otherwise it may have waited for its own worker
            queue.began, queue.returned = time, False
        self.leaves_queue(call)

    def age(self, queue, since, time):
        return min(HIGHEST, queue.priority + (time - since) // self.age_step)

    def check_class(self, call, queue, time):
        """Compares the most that the class of this request can be with the least that those of others are."""
        most = self.age(queue, queue.began, time)
        for other in call.service.queues.values():
            for waiting, queued in other.calls.items():
                if waiting is call or waiting.bound or waiting.deadline <= time \
                        or not self.listens(waiting.session):
                    continue
                since = max(queued, other.latest)
                least = self.age(other, since, time)
                if most < least:
                    self.problem(18, f"a request of class {most} is given out while one of class {least} waits",
                                 call, *waiting.places)
                elif most == least and since < queue.began:
                    self.problem(19, "a request is given out while one of its class has waited longer", call,
                                 *waiting.places)
                break

    def on_dispatch(self, place, time, fields):
        call = self.open.get((fields["session"], fields["id"]))
        worker = self.sessions.get(fields["worker"])
        if not call or not worker or worker.left is not None:
            self.problem(7, "a request is given out that is not open, or to nobody", call, place)
            return
        call.places.append(place)
        attempt = int(fields["attempt"])
        hedge = call.token is not None
        if hedge and (not call.hedge or call.other):
            self.problem(40 if call.hedge else 9, "a request is given to a second worker while one has it", call)
        elif hedge and self.deliveries[call.token].worker == fields["worker"]:
            self.problem(40, "a hedge goes to the worker that has the request", call)
        call.untimed = int(fields["deadline"]) == NEVER
        if not call.untimed and int(fields["deadline"]) != call.deadline:
            self.problem(8, "the deadline of a request moves", call)
        if time >= call.deadline:
            self.problem(8, f"a request is given out {time - call.deadline} us after its deadline",
                         call)
        if attempt != call.delivered + 1 or attempt > call.attempts:
            self.problem(9, f"the delivery after {call.delivered} of {call.attempts} is the "
                         f"{attempt}.", call)
        if worker.role != "worker" or worker.service != call.service.name:
            self.problem(7, "a request is given to a worker of another service", call, worker.place)
        if not hedge:
            self.takes_turn(call, time)
            self.waits(call, -1)
            self.running += 1
        if call.all and call.dispatches:
            self.problem(43, "a copy of a request for all workers is given out twice", call)
        call.other = call.token
        call.token, call.delivered, call.dispatched = fields["token"], attempt, time
        call.dispatches.append((attempt, time, fields["worker"], place))
        self.change(worker, held=worker.held + 1)
        conversation = self.talk(call, fields, place) if fields["conv"] != "0" else None
        if fields["token"] in self.deliveries:
            self.problem(6, "one token for two deliveries", call)
        self.deliveries[fields["token"]] = Delivery(call, fields["worker"], conversation, place)

    def talk(self, call, fields, place):
        one = self.conversations.get(fields["conv"])
        if one is None:
            one = self.conversations[fields["conv"]] = Conversation(call.session, call.key)
        if (one.client, one.key) != (call.session, call.key):
            self.problem(12, "one number for two conversations", call)
        if one.running:
            self.problem(12, "two requests of a conversation at a time", call, one.running.place)
        if call.order < one.order:
            self.problem(12, "a conversation out of its order", call)
        if one.answered and one.worker != fields["worker"]:
            self.problem(12, "a conversation moved to another worker", call)
        one.worker, one.order = fields["worker"], call.order
        one.running = Delivery(call, one.worker, one, place)
        return one

    @staticmethod
    def dispatch_of(delivery):
        return next((one for one in delivery.call.dispatches if one[3] == delivery.place), None) if delivery else None

    def on_unsent(self, place, time, fields):
        delivery = self.deliveries.get(fields["token"])
        if not delivery:
            return
        call = delivery.call
        call.places.append(place)
        call.dispatches.remove(self.dispatch_of(delivery))
        if call.final is None:  # after the final status this stays as it was
            call.delivered -= 1

    def on_answer(self, place, time, fields):
        delivery = self.deliveries.get(fields["token"])
        call = self.open.get((fields["session"], fields["id"]))
        if not call:
            self.problem(6, "a reply is committed of a request that is not open",
                         delivery.call if delivery else None, place)
            return
        call.places.append(place)
        if not delivery or delivery.call is not call or fields["token"] not in (call.token, call.other):
            self.problem(6, "a reply is committed that is not the latest delivery's", call)
        elif delivery.worker != fields["worker"]:
            self.problem(7, "a reply is taken from a worker that does not hold the delivery", call)
        if delivery and delivery.conversation:
            delivery.conversation.answered = True
        if call.answered:
            self.problem(6, "two replies are committed", call)
        call.answered = fields["status"]
        call.committed = self.dispatch_of(delivery)

    def on_free(self, place, time, fields):
        delivery = self.deliveries.pop(fields["token"], None)
        if not delivery:
            self.problem("format", "a place is given back twice", None, place)
            return
        call = delivery.call
        worker = self.sessions[delivery.worker]
        self.change(worker, held=worker.held - 1)
        if delivery.conversation:
            delivery.conversation.running = None
        if call.final is None and fields["token"] in (call.token, call.other) and call.other:
            call.token = call.other if call.token == fields["token"] else call.token
            call.other = None
        elif call.final is None and call.token == fields["token"]:
            call.token = None  # the request waits again
            if call.untimed:
                call.deadline += time - call.dispatched
            self.running -= 1
            self.waits(call, 1)
            queue = self.queue_of(call, time)
            queue.calls[call], queue.returned = time, True

    def on_final(self, place, time, fields):
        key = fields["session"], fields["id"]
        call = self.open.pop(key, None)
        if not call:
            self.problem(3, "a second final status, or one of nothing", None, place)
            return
        call.places.append(place)
        self.finals += 1
        cancelled = self.uncancelled.pop(key, None)
        status = call.final = fields["status"]
        call.final_time, call.final_attempts = time, int(fields["attempts"])
        call.final_parts = int(fields.get("parts", 0)), int(fields.get("part_bytes", 0))
        if call.token:
            self.running -= 1
        else:
            self.waits(call, -1)
            self.leaves_queue(call)
        if cancelled and status != "CANCELLED":
            self.problem("cancel", f"a cancelled request ended with {status}", call)
        if call.final_attempts != call.delivered:
            self.problem(9, f"{call.final_attempts} attempts are told, {call.delivered} were made",
                         call)
        if status in REPLIES and call.answered != status:
            self.problem(6, f"{status} without a reply that was committed", call)
        if call.answered and status not in REPLIES:
            self.problem(6, f"a reply was committed, and the end is {status}", call)
        if status in NEVER_GIVEN and call.delivered > call.made:
            self.problem(5, f"{status}, and a worker was given it", call)
        if status in GIVEN and call.delivered == call.made:
            self.problem(5, f"{status}, and no worker was given it", call)

    def on_late(self, place, time, fields):
        self.late += 1
        delivery = self.deliveries.get(fields["token"])
        if delivery and delivery.worker == fields["worker"] and delivery.call.final is None:
            self.problem(6, "the reply of the latest delivery is taken for a late one",
                         delivery.call, place)

    # ---- The end of its lines -------------------------------------------------------------------

    def finish(self, patience):
        """patience: us after its deadline within which a request must have ended."""
        if not self.ended:
            for call in self.open.values():
                if call.deadline + patience < self.time and not (call.untimed and call.token):
                    self.problem(1, "the broker went on, and never ended a request", call)
                call.lost = True
