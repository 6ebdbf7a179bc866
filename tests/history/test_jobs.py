# SPDX-License-Identifier: MPL-2.0
"""The checker on jobs, of which the simulated world has none: a good history of one job over two brokers, and each
change of it that it must find."""

import pytest

from check import Check

#: Broker a gives the first attempt out and stands still; b takes the job over, and gives out the second.
CLIENT = """\
100 client:c submit req=j service=s deadline=0 attempts=10 job=1
130 client:c accepted req=j id=7
700 client:c result req=j status=OK made=2 body=r2
900 client:c result req=j status=OK made=2 body=r2
"""
WORKER = """\
150 worker:w start req=j attempt=1 task=w/0
250 worker:w reply req=j task=w/0 status=OK body=r1
600 worker:w start req=j attempt=2 task=w/1
650 worker:w reply req=j task=w/1 status=OK body=r2
"""
BROKER_A = """\
1 broker:a begin pid=1
1 broker:a join session=1 role=client name=jobs service=-
2 broker:a join session=2 role=worker name=w service=s window=9
3 broker:a join session=3 role=client name=c service=-
110 broker:a request session=3 id=1 req=j service=s conv=0 job=1
120 broker:a request session=1 id=5 req=j service=s conv=0
120 broker:a accept session=1 id=5 service=s attempts=10 deadline=99999
120 broker:a dispatch session=1 id=5 token=1 worker=2 attempt=1 conv=0 deadline=99999
"""
BROKER_B = """\
1 broker:b begin pid=2
1 broker:b join session=1 role=client name=jobs service=-
2 broker:b join session=2 role=worker name=w service=s window=9
500 broker:b request session=1 id=6 req=j service=s conv=0 made=1
500 broker:b accept session=1 id=6 service=s attempts=10 deadline=99999
500 broker:b dispatch session=1 id=6 token=1 worker=2 attempt=2 conv=0 deadline=99999
660 broker:b answer session=1 id=6 token=1 worker=2 attempt=2 status=OK
660 broker:b final session=1 id=6 token=1 worker=2 attempts=2 status=OK
660 broker:b free session=0 id=6 token=1 worker=2 attempt=2
999 broker:b end
"""
LATE = """\
800 broker:a free session=0 id=5 token=1 worker=2 attempt=1
800 broker:a dispatch session=1 id=5 token=2 worker=2 attempt=2 conv=0 deadline=99999
"""
FROZEN = "400 chaos fault party=broker:a kind=freeze until=790\n"


def counts(folder, *parts, slack=20):
    """What the checker finds in these."""
    files = []
    for number, text in enumerate(parts):
        files.append(folder / f"{number}.hist")
        files[-1].write_text(text.replace(" ", "\t"))
    one = Check(files, slack)
    one.run()
    return one.problems.counts


def test_a_good_history_of_a_job_holds(tmp_path):
    assert not counts(tmp_path, CLIENT, WORKER, BROKER_A, BROKER_B, FROZEN)


CHANGES = {
    "no outcome": (50, CLIENT, CLIENT[:CLIENT.index("700")]),
    "two jobs for one key": (51, "130 client:c accepted req=j id=7\n", "130 client:c accepted req=j id=7\n"
                             "140 client:c accepted req=j id=8\n"),
    "two outcomes": (51, "900 client:c result req=j status=OK made=2 body=r2",
                     "900 client:c result req=j status=OK made=2 body=r1"),
    "an attempt twice": (52, "start req=j attempt=2", "start req=j attempt=1"),
    "an attempt too many": (9, "start req=j attempt=2", "start req=j attempt=11"),
    "a start that nobody gave out": (9, "600 worker:w", "590 worker:w start req=j attempt=3 task=w/2\n600 worker:w"),
    "the reply to a lost attempt": (2, "made=2 body=r2", "made=2 body=r1"),
    "dead too early": (9, "status=OK made=2 body=r2", "status=WORKER_LOST made=2 body=-"),
    "given out behind its outcome": (53, BROKER_A, BROKER_A + LATE),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found(tmp_path, name):
    invariant, before, after = CHANGES[name]
    parts = [CLIENT, WORKER, BROKER_A, BROKER_B]
    changed = [part.replace(before, after) for part in parts]
    assert changed != parts
    assert invariant in counts(tmp_path, *changed)


def test_what_was_committed_before_a_broker_stood_still_may_be_given_out_afterwards(tmp_path):
    # For the broker alone a second delivery is the next one.
    assert 53 not in counts(tmp_path, CLIENT, WORKER, BROKER_A + LATE, BROKER_B, FROZEN)
