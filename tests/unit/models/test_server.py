"""Asking a server: order of frames and trials, faults of the network, keys, limits. Real sockets."""

import io
import json
import socket
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from small_server import NAME, Reply, Small, clip_url, serving, way_of

from kairoscope.core import (
    Completion,
    Failed,
    FramePolicy,
    Prompt,
    Request,
    Sampling,
    Slot,
    Template,
    UserError,
)
from kairoscope.models.engines import EngineOptions, check_engine, open_engine
from kairoscope.models.server import http
from kairoscope.models.server.engine import ServedModel
from kairoscope.models.server.options import ServerOptions
from kairoscope.video.frames import load_frames

CLIPS = sorted((Path(__file__).parents[3] / "examples/press/test/clips").glob("*.mp4"))[:8]
POLICY = FramePolicy(fps=2.0, max_frame_pixels=8000, min_frame_pixels=4000)
PROMPT = Prompt(system="Say when.", before="It moves.", after="When?")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds, and no key of whoever runs the tests."""
    monkeypatch.setattr(http, "FIRST_WAIT_S", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def template(times_s: Sequence[float]) -> Template:
    choices = tuple(f"{t:.2f}" for t in times_s)
    return (
        "<",
        Slot(name="start 1", choices=choices),
        "> <",
        Slot(name="end 1", choices=choices, not_before=0),
        ">",
    )


def requests(clips: Sequence[Path] = CLIPS) -> Iterator[Request]:
    for clip in clips:
        yield Request(id=clip.name, video=clip, prompt=PROMPT, policy=POLICY, template=template)


def ask(
    small: Small,
    clips: Sequence[Path] = CLIPS,
    sampling: Sampling = Sampling(),
    decoding: Any = "free",
    **options: Any,
) -> dict[str, tuple[Completion, ...] | Failed]:
    model = ServedModel(NAME, ServerOptions(base_url=small.url, **options))
    answers = list(model.answer(requests(clips), sampling, decoding))
    assert len(dict(answers)) == len(answers)
    return dict(answers)


def always(reply: Reply) -> Callable[[Any, int], Reply]:
    return lambda body, number: reply


# --- what is sent ---------------------------------------------------------------------------


def shown(body: Any) -> np.ndarray:
    """The frames that a server makes of a request, as (T, H, W, C)."""
    url, way = clip_url(body), way_of(body)
    if way == "images":
        parts = [p for p in body["messages"][-1]["content"] if p["type"] == "image_url"]
        urls = [part["image_url"]["url"].split(",")[1] for part in parts]
    elif way == "frames":
        urls = url.split(",")[1:]
    else:
        file = (
            url.removeprefix("file://")
            if way == "file"
            else io.BytesIO(b64decode(url.split(",")[1]))
        )
        with av.open(file, "r") as container:
            rate = container.streams.video[0].average_rate
            assert rate is not None
            wanted = body["media_io_kwargs"]["video"]["fps"]
            assert float(rate) == pytest.approx(wanted, rel=1e-3)
            return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    return np.stack([np.asarray(Image.open(io.BytesIO(b64decode(one)))) for one in urls])


@pytest.mark.parametrize("send", ["file", "base64", "frames"])
def test_the_server_gets_every_frame_of_the_policy_to_the_bit(send: str) -> None:
    seen = []

    def look(body: Any, _: int) -> Reply:
        seen.append((body["messages"], shown(body)))
        return Reply()

    clip = CLIPS[0]
    with serving(Small(reply=look)) as small:
        answer = ask(small, [clip], send=send)[clip.name]
    frames = load_frames(clip, POLICY)
    wanted = frames.pixels_THWC.numpy()
    ((messages, pixels),) = seen
    assert len(pixels) == len(wanted) + len(wanted) % 2
    np.testing.assert_array_equal(pixels[: len(wanted)], wanted)
    assert all((extra == wanted[-1]).all() for extra in pixels[len(wanted) :])
    assert messages[0] == {"role": "system", "content": "Say when."}
    kinds = [part["type"] for part in messages[1]["content"]]
    assert kinds == ["text", "video_url", "text"]
    assert not isinstance(answer, Failed)
    assert answer[0].frame_times_s == frames.times_s
    assert answer[0].num_prompt_tokens == 9000


def test_no_file_is_left_behind(tmp_path: Path) -> None:
    with serving(Small(reply=always(Reply()))) as small:
        ask(small, CLIPS[:3], send="file", shared_folder=tmp_path)
        assert all(clip_url(body).startswith(tmp_path.as_uri()) for body in small.asked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("takes", "ways"),
    [
        (("file",), ["file"]),
        (("base64",), ["file", "base64"]),
        (("images",), ["file", "base64", "frames", "images"]),
    ],
)
def test_auto_settles_on_the_first_way_that_the_server_takes(
    takes: tuple[str, ...], ways: list[str]
) -> None:
    def reply(body: Any, _: int) -> Reply:
        return Reply() if way_of(body) in takes else Reply(status=400, words="unsupported content")

    with serving(Small(reply=reply)) as small:
        answers = ask(small, CLIPS)
        assert not any(isinstance(answer, Failed) for answer in answers.values())
        asked = [way_of(body) for body in small.asked]
    assert asked[: len(ways)] == ways
    assert asked[len(ways) :] == [takes[0]] * (len(CLIPS) - 1)


def test_other_frames_than_were_sent_end_the_run() -> None:
    frames = load_frames(CLIPS[0], POLICY)
    count, height, width, _ = frames.pixels_THWC.shape
    wanted = -(-count // 2) * (height // 28) * (width // 28)
    for num_fed in (wanted, wanted // 2):
        fed = Reply(prompt_ids=[7, 8, *[6] * num_fed, 9])
        with serving(Small(reply=always(fed))) as small:
            if num_fed == wanted:
                ask(small, CLIPS[:1])
                continue
            with pytest.raises(
                UserError, match=f"vision tokens: expected {wanted} .*, found {num_fed};"
            ):
                ask(small, CLIPS[:1])
            assert len(ask(small, CLIPS[:1], allow_other_frames=True)) == 1


# --- trials ---------------------------------------------------------------------------------


def test_trials_are_samples_of_one_request_with_seeds_of_their_own() -> None:
    def seeded(body: Any, sample: int) -> str:
        return f"seed {body['seed'] + sample}"

    hot = Sampling(trials=5, temperature=0.7, top_p=0.9, max_new_tokens=9, seed=3)
    with serving(Small(reply=always(Reply(text=seeded)))) as small:
        whole = ask(small, CLIPS[:2], hot)
        assert len(small.asked) == 2
        sent = small.asked[0]
        assert [sent[name] for name in ("n", "temperature", "top_p", "max_tokens")] == [
            5,
            0.7,
            0.9,
            9,
        ]
        parts = [
            ask(small, CLIPS[:2], replace(hot, first_trial=first, trials=trials))
            for first, trials in ((0, 2), (2, 3))
        ]
        other = ask(small, CLIPS[:2], replace(hot, seed=4))
    for name, answer in whole.items():
        assert not isinstance(answer, Failed)
        texts = [(c.trial, c.text) for c in answer]
        assert [trial for trial, _ in texts] == [0, 1, 2, 3, 4]
        assert len({text for _, text in texts}) == 5
        assert [(c.trial, c.text) for part in parts for c in part[name]] == texts  # type: ignore[union-attr]
        assert {c.text for c in other[name]}.isdisjoint(text for _, text in texts)  # type: ignore[union-attr]


def test_at_temperature_0_one_sample_stands_for_all_trials() -> None:
    with serving(Small(reply=always(Reply(text="same")))) as small:
        answer = ask(small, CLIPS[:1], Sampling(trials=3))[CLIPS[0].name]
        assert small.asked[0]["n"] == 1
    assert not isinstance(answer, Failed)
    assert [(c.trial, c.text) for c in answer] == [(0, "same"), (1, "same"), (2, "same")]


# --- the constraint -------------------------------------------------------------------------


def constrained_text(text: str) -> Callable[[Any, int], Reply]:
    return always(Reply(text=text))


def test_the_form_is_the_first_that_the_server_keeps_to() -> None:
    for form in ("structured_outputs", "regex", "guided_regex"):
        small = Small(reply=constrained_text("<0.00> <0.50>"), takes=(form,))
        with serving(small):
            ask(small, CLIPS[:3], decoding="constrained")
        assert all(form in body for body in small.asked)
        assert len(small.others) == ("structured_outputs", "regex", "guided_regex").index(form) + 1


def test_a_server_that_ignores_constraints_is_noticed() -> None:
    small = Small(reply=constrained_text("at once"), keeps_constraint=False)
    with serving(small):
        with pytest.raises(
            UserError, match="structured_outputs: taken and ignored, it wrote 'Word"
        ):
            ask(small, decoding="constrained")
        assert not small.asked
        answers = ask(small, CLIPS[:2], decoding="constrained", allow_unconstrained=True)
        assert len(answers) == 2
        small.keeps_constraint = True  # with a short question, and not with a clip
        with pytest.raises(UserError, match=r"constraint: expected .*, found .*at character 0"):
            ask(small, decoding="constrained")


def test_times_out_of_order_are_asked_for_again_from_there_on() -> None:
    def reply(body: Any, number: int) -> Reply:
        return Reply(text="<1.00> <0.50>" if number == 0 else "<1.00> <1.50>")

    small = Small(reply=reply)
    with serving(small):
        model = ServedModel(NAME, ServerOptions(base_url=small.url))
        ((_, answer),) = model.answer(requests(CLIPS[:1]), Sampling(), "constrained")
    assert not isinstance(answer, Failed)
    assert answer[0].text == "<1.00> <1.50>"
    first, second = (body["structured_outputs"]["regex"] for body in small.asked)
    assert first != second
    assert second.startswith(r"<1\.00> <")
    assert "0" not in second.removeprefix(r"<1\.00> <").split(r"\.")[0]
    assert model.usage.completion_tokens == 20


def test_a_posterior_is_put_together_from_samples() -> None:
    """A server that writes digit by digit with known probabilities."""
    times_s = load_frames(CLIPS[0], POLICY).times_s
    values = [f"{t:.2f}" for t in times_s]
    weights = np.random.default_rng(0).dirichlet(np.full(len(values), 0.3), 2)

    def share(slot: int, text: str) -> float:
        pairs = zip(values, weights[slot], strict=True)
        return float(sum(w for value, w in pairs if value.startswith(text)))

    def sample(body: Any, index: int) -> tuple[str, list[dict[str, Any]]]:
        begun = body["messages"][-1]["content"]
        slot = begun.count("<") - 1
        text = start = begun.rpartition("<")[2]
        rng = np.random.default_rng([body["seed"], index])
        tokens: list[dict[str, Any]] = []
        while text not in values:
            chars = sorted({v[len(text)] for v in values if v.startswith(text)})
            p = np.array([share(slot, text + char) for char in chars]) + 1e-12
            logs = [*np.log(p / p.sum()), -9999.0]
            pick = str(rng.choice(chars, p=p / p.sum()))
            rows = [{"token": t, "logprob": x} for t, x in zip([*chars, "@"], logs, strict=True)]
            tokens.append({"token": pick, "top_logprobs": rows})
            text += pick
        return text[len(start) :], [*tokens, {"token": "<end>", "top_logprobs": []}]

    with serving(Small(reply=always(Reply(sample=sample)))) as small:
        answer = ask(small, CLIPS[:1], Sampling(trials=2), "posterior")[CLIPS[0].name]
        assert all(body["continue_final_message"] for body in small.asked)
        assert small.asked[0]["messages"][-1] == {"role": "assistant", "content": "<"}
        num_asked = len(small.asked)
    assert not isinstance(answer, Failed)
    assert answer[0].posteriors == answer[1].posteriors
    first, second = answer[0].posteriors
    np.testing.assert_allclose(first.probabilities, weights[0], atol=0.004)
    start = int(np.searchsorted(np.cumsum(weights[0]), 0.5))
    later = np.where(np.arange(len(values)) >= start, weights[1], 0)
    np.testing.assert_allclose(second.probabilities, later / later.sum(), atol=0.004)
    end = int(np.searchsorted(np.cumsum(later / later.sum()), 0.5))
    assert answer[0].text == f"<{values[start]}> <{values[end]}>"
    assert num_asked < 2 * len(values)


def test_a_server_without_what_a_posterior_needs_is_refused_by_name() -> None:
    small = Small(reply=always(Reply(text="0.00")), goes_on=False)
    with serving(small):
        with pytest.raises(UserError, match=r"not go on with an answer that has begun.*--decoding"):
            ask(small, decoding="posterior")
        small.goes_on = True  # but tells no probabilities
        with pytest.raises(UserError, match=r"tells no probabilities.*--decoding constrained"):
            ask(small, decoding="posterior")


# --- faults ---------------------------------------------------------------------------------

PASSING = {
    "busy": Reply(status=429, headers={"retry-after": "0.05"}),
    "busy by date": Reply(status=429, headers={"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}),
    "failing": Reply(status=500, words="oh"),
    "overloaded": Reply(status=503),
    "behind a proxy": Reply(status=502),
    "cut": Reply(cut=True),
    "not JSON": Reply(broken=True),
    "reset": Reply(reset=True),
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again(fault: str) -> None:
    small = Small(reply=lambda body, number: PASSING[fault] if number % 2 == 0 else Reply())
    with serving(small):
        answers = ask(small, CLIPS[:3], concurrency=1)
    assert not any(isinstance(answer, Failed) for answer in answers.values())
    assert len(small.asked) >= 4


def test_a_slow_answer_is_asked_for_again() -> None:
    small = Small(reply=lambda body, number: Reply(wait_s=3.0 if number == 0 else 0.0))
    with serving(small):
        started = time.monotonic()
        answers = ask(small, CLIPS[:1], timeout_s=0.3)
    assert not isinstance(answers[CLIPS[0].name], Failed)
    assert time.monotonic() - started < 2.5


def test_a_busy_server_is_left_alone_by_all_for_as_long_as_it_says() -> None:
    times: list[float] = []

    def reply(body: Any, number: int) -> Reply:
        times.append(time.monotonic())
        return Reply(status=429, headers={"retry-after": "0.6"}) if number == 0 else Reply()

    with serving(Small(reply=reply)) as small:
        ask(small, CLIPS[:4], concurrency=1)
    assert times[1] - times[0] >= 0.6


def test_clips_that_the_server_refuses_fail_alone() -> None:
    def reply(body: Any, number: int) -> Reply:
        return (
            Reply(status=400, words="too long")
            if "question 2." in json.dumps(body["messages"])
            else Reply()
        )

    def marked() -> Iterator[Request]:
        for index, request in enumerate(requests()):
            yield replace(request, prompt=replace(PROMPT, after=f"question {index}."))

    with serving(Small(reply=reply)) as small:
        model = ServedModel(NAME, ServerOptions(base_url=small.url, send="base64"))
        answers = dict(model.answer(marked(), Sampling(), "free"))
    failed = {name: a.reason for name, a in answers.items() if isinstance(a, Failed)}
    assert list(failed) == [CLIPS[2].name]
    assert "refused it (400): too long" in failed[CLIPS[2].name]
    assert len(answers) == len(CLIPS)


def test_a_clip_that_the_server_fails_on_fails_alone() -> None:
    def reply(body: Any, number: int) -> Reply:
        return (
            Reply(status=500, words="oh")
            if "question 2." in json.dumps(body["messages"])
            else Reply()
        )

    def marked() -> Iterator[Request]:
        for index, request in enumerate(requests(CLIPS[:4])):
            yield replace(request, prompt=replace(PROMPT, after=f"question {index}."))

    with serving(Small(reply=reply)) as small:
        options = ServerOptions(base_url=small.url, send="base64", attempts=3)
        answers = dict(ServedModel(NAME, options).answer(marked(), Sampling(), "free"))
        assert sum("question 2." in json.dumps(body["messages"]) for body in small.asked) == 3
    failed = [name for name, answer in answers.items() if isinstance(answer, Failed)]
    assert failed == [CLIPS[2].name]


def test_a_server_that_refuses_every_clip_ends_the_run() -> None:
    with serving(Small(reply=always(Reply(status=400, words="no video here")))) as small:
        with pytest.raises(UserError, match=r"refuses every clip.*no video here"):
            ask(small)
        answers = ask(small, CLIPS[:2])
        assert all(isinstance(answer, Failed) for answer in answers.values())


def test_a_server_that_samples_by_itself_is_told_apart_from_clips_it_refuses() -> None:
    words = "mm_processor_kwargs: start the server with --trust-request-mm-kwargs only when trusted"
    small = Small(reply=always(Reply(status=400, words=words)))
    with serving(small), pytest.raises(UserError, match="start vLLM with --trust-request-mm"):
        ask(small, CLIPS[:1])


def test_clips_that_cannot_be_read_are_not_sent(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    with serving(Small(reply=always(Reply()))) as small:
        answers = ask(small, [broken, CLIPS[0]])
        assert len(small.asked) == 1
    assert isinstance(answers[broken.name], Failed)


def test_a_server_that_dies_ends_the_run_and_what_was_answered_is_given() -> None:
    small = Small(reply=lambda body, number: Reply() if number < 3 else Reply(reset=True))
    given: list[Any] = []

    def keep(model: ServedModel) -> None:
        given.extend(model.answer(requests(), Sampling(), "free"))

    with serving(small):
        options = ServerOptions(base_url=small.url, concurrency=1, attempts=3)
        model = ServedModel(NAME, options)
        with pytest.raises(UserError, match=r"3 questions were answered.*only the rest is asked"):
            keep(model)
    assert len(given) == 3


def test_a_server_whose_engine_died_ends_the_run() -> None:
    small = Small(
        reply=lambda body, number: Reply() if number < 2 else Reply(status=500, words="dead"),
        text_only=lambda _: Reply(status=500, words="dead"),
    )
    with serving(small), pytest.raises(UserError, match=r"does not answer any more .*500: dead"):
        ask(small, concurrency=1, attempts=2)


def test_no_server_is_said_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        model = ServedModel(NAME, ServerOptions(base_url=url, attempts=2))
        with pytest.raises(UserError, match=f"{url}: no server answers there"):
            _ = model.identity


def test_stopping_early_leaves_nothing_under_way(tmp_path: Path) -> None:
    with serving(Small(reply=always(Reply(wait_s=0.05)))) as small:
        options = ServerOptions(base_url=small.url, shared_folder=tmp_path, concurrency=2)
        answers = ServedModel(NAME, options).answer(requests(), Sampling(), "free")
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        time.sleep(0.2)
        asked = len(small.asked)
        time.sleep(0.2)
        assert len(small.asked) == asked < len(CLIPS)
    assert list(tmp_path.iterdir()) == []


# --- limits ---------------------------------------------------------------------------------


def test_requests_in_flight_and_clips_taken_are_limited() -> None:
    taken = 0
    most_ahead = 0

    def counted() -> Iterator[Request]:
        nonlocal taken
        for copy in range(3):
            for request in requests():
                taken += 1
                yield replace(request, id=f"{copy}/{request.id}")

    with serving(Small(reply=always(Reply(wait_s=0.05)))) as small:
        model = ServedModel(NAME, ServerOptions(base_url=small.url, concurrency=3))
        for done, _ in enumerate(model.answer(counted(), Sampling(), "free")):
            most_ahead = max(most_ahead, taken - done)
    assert small.most_at_once == 3
    assert most_ahead <= 3 + 2 + 1
    assert len(small.asked) == 3 * len(CLIPS)


# --- keys -----------------------------------------------------------------------------------

KEY = "sk-thisisthekey-0123456789"


def test_the_key_travels_in_the_header_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(Small(reply=always(Reply()))) as small:
        ask(small, CLIPS[:2], api_key_env="MY_KEY")
        assert {found.get("authorization") for found in small.headers} == {f"Bearer {KEY}"}
        assert KEY not in json.dumps(small.asked)
        small.headers.clear()
        ask(small, CLIPS[:1])
        assert {found.get("authorization") for found in small.headers} == {None}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_no_message_holds_the_key(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(http, "PATIENCE_S", 0.05)
    wrong = Reply(status=status, words=f"the key {KEY} is wrong")
    with serving(Small(reply=always(wrong), text_only=lambda _: wrong)) as small:
        model = ServedModel(NAME, ServerOptions(base_url=small.url, attempts=2))
        error: BaseException | None = None
        try:
            answers = dict(model.answer(requests(CLIPS), Sampling(), "free"))
            assert KEY not in str(answers)
        except UserError as raised:
            error = raised
        seen = []
        while error is not None:
            seen.append(f"{error!r} {error} {error.__dict__}")
            error = error.__cause__ or error.__context__
        assert seen
        assert KEY not in "".join(seen)
        if status in (401, 403):
            assert "OPENAI_API_KEY" in seen[0]
    assert KEY not in repr(model.options)


def test_what_is_no_address_and_no_name_of_a_variable_is_refused() -> None:
    def refused(**options: Any) -> str:
        with pytest.raises(UserError) as raised:
            check_engine(f"openai:{NAME}", ServerOptions(**options))
        return str(raised.value)

    assert "needs --base-url" in refused()
    assert "http://… or" in refused(base_url="localhost:8000")
    assert KEY not in refused(base_url=f"http://user:{KEY}@host/v1")
    assert KEY not in refused(base_url=f"http://host/v1?key={KEY}")
    assert KEY not in refused(base_url="http://host/v1", api_key_env=KEY)
    assert "auto, file" in refused(base_url="http://host/v1", send="mail")
    assert "1 to 4096" in refused(base_url="http://host/v1", concurrency=0)
    with pytest.raises(UserError, match="names no model"):
        check_engine("openai:", ServerOptions(base_url="http://host/v1"))


# --- who it is, and what it cost ------------------------------------------------------------


def identity(**changes: Any) -> str:
    row = {"id": NAME, "root": "org/model", "max_model_len": 4096, "created": 1}
    with serving(Small(reply=always(Reply()), models=[{**row, **changes}])) as small:
        return ServedModel(NAME, ServerOptions(base_url=small.url)).identity


def test_a_changed_model_is_noticed_and_a_moved_server_is_not() -> None:
    first = identity()
    assert identity(created=2) == first  # of another port each time, too
    assert identity(root="org/other") != first
    assert identity(max_model_len=8192) != first


def test_a_checkpoint_that_lies_here_is_known_by_its_weights() -> None:
    builtin = Path(__file__).parents[3] / "src/kairoscope/weights/builtin"
    row = {"id": NAME, "root": str(builtin)}
    with serving(Small(reply=always(Reply()), models=[row])) as small:
        options = EngineOptions(server=ServerOptions(base_url=small.url))
        model = open_engine(f"openai:{NAME}", options)
        assert model.policy is not None
        assert model.policy.fps == 4.0
    assert model.identity != identity()


def test_another_model_than_is_served_is_refused() -> None:
    models = [{"id": "a"}, {"id": "b"}]
    with serving(Small(reply=always(Reply()), models=models)) as small:
        model = ServedModel(NAME, ServerOptions(base_url=small.url))
        with pytest.raises(UserError, match="serves no such model; it has: a, b"):
            _ = model.identity


def test_tokens_are_counted_and_priced() -> None:
    with serving(Small(reply=always(Reply()))) as small:
        options = ServerOptions(base_url=small.url, price_prompt=2.0, price_completion=10.0)
        model = ServedModel(NAME, options)
        list(model.answer(requests(CLIPS[:3]), Sampling(trials=2, temperature=1.0), "free"))
    row = model.usage.row(options)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (27_000, 60)
    assert row["cost"] == pytest.approx((27_000 * 2 + 60 * 10) / 1e6)
    assert model.usage.row(ServerOptions())["cost"] is None
