# SPDX-License-Identifier: MPL-2.0
"""Riposte: a request/reply message broker, from Python.

    import riposte
    with riposte.Client() as client:
        print(client.call("upper", b"hello").body)

`riposte.Client` asks, `riposte.Worker` answers; `riposte.aio` has both as coroutines. What ends without an answer
raises a subclass of `riposte.Error`, one for each status of docs/CONTRACT.md. Times are seconds.
"""

from riposte._client import Answers, Call, Client, Conversation, Stream
from riposte._client_core import Reply
from riposte._status import (
    AppError, Busy, Cancelled, ConversationLost, Deadline, Denied, Draining, Error, Expired, Invalid, KeyMismatch,
    NoBroker, NotDone, NoWorker, Status, TooLarge, Unknown, WorkerLost)
from riposte._worker import Answer, Retry, Task, Worker

__all__ = [
    "Answer", "Answers", "AppError", "Busy", "Call", "Cancelled", "Client", "Conversation", "ConversationLost",
    "Deadline", "Denied", "Draining", "Error", "Expired", "Invalid", "KeyMismatch", "NoBroker", "NoWorker", "NotDone",
    "Reply", "Retry", "Status", "Stream", "Task", "TooLarge", "Unknown", "Worker", "WorkerLost"]
