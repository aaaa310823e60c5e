"""Questions are answered one at a time, and one that never comes back stops no other."""

import threading

from execution.workers.questions import MOST_STUCK, Answerer


def never() -> None:
    threading.Event().wait()


def test_questions_are_answered_one_at_a_time_in_order():
    answerer, order, done = Answerer(), list[tuple[int, int]](), threading.Event()
    for number in range(20):
        answerer.ask(10, lambda number=number: order.append((number, threading.get_ident())))
    answerer.ask(10, done.set)
    assert done.wait(10)
    assert [number for number, _ in order] == list(range(20))
    assert len({thread for _, thread in order}) == 1
    answerer.close()


def test_a_question_asked_before_the_stuck_one_is_due_is_answered_after_it():
    answerer, begun, done = Answerer(), threading.Event(), threading.Event()

    def stuck() -> None:
        begun.set()
        never()

    answerer.ask(0.05, stuck)
    begun.wait(10)
    answerer.ask(10, done.set)
    assert done.wait(10)
    answerer.close()


def test_several_stuck_questions_are_survived():
    answerer, done = Answerer(), threading.Event()
    for _ in range(MOST_STUCK):
        answerer.ask(0.01, never)
    answerer.ask(10, done.set)
    assert done.wait(10)
    answerer.close()


def test_a_question_that_comes_back_late_ends_its_thread():
    answerer, release, done = Answerer(), threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def late() -> None:
        threads.append(threading.current_thread())
        release.wait(10)

    answerer.ask(0.01, late)
    answerer.ask(10, done.set)
    assert done.wait(10)
    release.set()
    threads[0].join(10)
    assert not threads[0].is_alive()
    answerer.close()
