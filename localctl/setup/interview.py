"""The interview: question by question, what was given first, what somebody says else. Rules: no I/O.

Who answers is handed in. What is wrong with a flag is wrong usage; what is wrong with a person's answer, the person is
told and asked again (``terminal``).
"""

from collections.abc import Callable

from localctl.setup.outcome import complaint
from localctl.setup.place import Answer, Answers, Place
from localctl.setup.questions import QUESTIONS, Question

Ask = Callable[[Question, Answers], Answer]


class WrongAnswer(ValueError):
    """A flag that is wrong, of no use, or missing: wrong usage."""


def interview(given: Answers, place: Place, ask: Ask) -> dict[str, Answer]:
    """The answers to all questions that have a meaning. Raises WrongAnswer."""
    answers = dict(given)
    for question in QUESTIONS:
        if not question.asked(answers):
            if question.name in given:
                raise WrongAnswer(f"{question.flag} is of no use so: it goes with {question.goes_with}")
            continue
        if question.name not in given:
            answers[question.name] = taken(question, answers, place) if question.quiet else ask(question, answers)
        if fault := complaint(question, answers, place):
            raise WrongAnswer(f"{question.flag}: {fault}")
    return answers


def taken(question: Question, answers: Answers, place: Place) -> Answer:
    """The answer where nobody is there to be asked. Raises WrongAnswer where it has to be given."""
    answer = question.default(answers, place)
    if answer is None:
        raise WrongAnswer(f"{question.flag} is missing: {question.asks}")
    return answer


def proposed(question: Question, answers: Answers, place: Place) -> Answer | None:
    """What a person only has to confirm."""
    default = question.default(answers, place)
    if default not in {None, ""}:
        return default
    return question.offered(answers, place) or (None if question.needed else default)
