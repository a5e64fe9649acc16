"""The model behind an OpenAI-compatible endpoint, over real HTTP against a scripted one in this process."""

from __future__ import annotations

import time
from typing import Any

import jsonschema
import pytest
from endpoint import Endpoint

from hivemem.swarm import Message, NodeError, NodeFailed, OpenAi, Usage
from hivemem.swarm.llm import extract, structured, text

HELLO: list[Message] = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}


def model_at(endpoint: Endpoint, **options: Any) -> OpenAi:
    return OpenAi(endpoint.address, "tiny", "k3y", **{"first_pause_s": 0.01, **options})


async def value_of(model: OpenAi, usage: Usage, repairs: int = 2) -> Any:
    return await structured(model, HELLO, SCHEMA, repairs=repairs, usage=usage, on_text=None)


async def test_a_reply_is_heard_while_it_is_made_and_its_tokens_count(endpoint: Endpoint) -> None:
    endpoint.replies = ["<think>hm</think> good morning"]
    heard: list[str] = []
    usage = Usage()
    async with model_at(endpoint) as model:
        assert await text(model, HELLO, usage, heard.append) == "good morning"
    assert "".join(heard) == "<think>hm</think> good morning"
    assert len(heard) > 1
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 3)
    assert endpoint.keys == ["Bearer k3y"]
    assert endpoint.asked[0]["model"] == "tiny"


async def test_a_reply_that_does_not_fit_is_quoted_back_and_mended(endpoint: Endpoint) -> None:
    endpoint.replies = ["no idea", '{"a": "x"}', 'Here: ```json\n{"a": 1}\n```']
    usage = Usage()
    async with model_at(endpoint) as model:
        assert await value_of(model, usage) == {"a": 1}
        assert usage.total == 30
        assert endpoint.asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA
        last = endpoint.asked[2]["messages"]
        assert [message["role"] for message in last] == ["user", "assistant", "user", "assistant", "user"]
        assert "/a: 'x' is not of type 'integer'" in last[-1]["content"]
        endpoint.replies = ["garbage"]
        with pytest.raises(NodeError, match="3 in a row"):
            await value_of(model, usage)
    assert usage.total == 60, "what was spent in vain counts"


async def test_a_busy_endpoint_is_asked_again_when_it_says(endpoint: Endpoint) -> None:
    endpoint.replies = [(429, "slow down", {"retry-after": "0.2"}), (503, "", {}), (529, "overloaded", {}), "done"]
    started = time.monotonic()
    async with model_at(endpoint) as model:
        assert (await model.complete(HELLO)).text == "done"
        assert 0.2 <= time.monotonic() - started < 2
        endpoint.replies = [(500, "broken", {})]
        with pytest.raises(NodeError, match="500: broken"):
            await model.complete(HELLO)
        endpoint.replies = [(401, "who are you", {})]
        with pytest.raises(NodeFailed, match="401"):
            await model.complete(HELLO)


async def test_an_endpoint_without_schemas_is_only_told_of_them(endpoint: Endpoint) -> None:
    endpoint.replies = [(400, "response_format is not known", {}), '{"a": 2}']
    async with model_at(endpoint) as model:
        assert await value_of(model, Usage()) == {"a": 2}
        assert await value_of(model, Usage()) == {"a": 2}
    assert ["response_format" in request for request in endpoint.asked] == [True, False, False]
    assert "JSON value of this schema" in endpoint.asked[1]["messages"][0]["content"]


def late() -> str:
    time.sleep(0.5)
    return "too late"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ((200, "data: nonsense\n\n", {}), "no chat completion"),
        ((200, 'data: {"choices": [7]}\n\n', {}), "no chat completion"),
        ((200, 'data: {"error": {"message": "out of memory"}}\n\n', {}), "out of memory"),
        ((200, "", {}), "said nothing"),
        (late, "did not answer"),
    ],
)
async def test_what_is_no_reply_is_an_error(endpoint: Endpoint, reply: Any, says: str) -> None:
    endpoint.replies = [reply]
    async with model_at(endpoint, timeout_s=0.3) as model:
        with pytest.raises(NodeError, match=says):
            await text(model, HELLO, Usage(), None)


async def test_nobody_there_is_an_error_that_may_pass() -> None:
    async with OpenAi("http://127.0.0.1:1/v1", "tiny", attempts=2, first_pause_s=0.01) as model:
        with pytest.raises(NodeError, match="can't be reached") as failed:
            await model.complete(HELLO)
    assert failed.value.retry


@pytest.mark.parametrize(
    "said",
    [
        '{"a": 1}',
        '```json\n{"a": 1}\n```',
        'Sure! Here you go:\n{"a": 1}\nAnything else?',
        '<think>maybe {"a": 2}?</think>{"a": 1}',
        '{"b": {"a": 3}} no: {"a": 1}',
        '[[[ {"a": 1}',
    ],
)
def test_a_value_is_found_in_whatever_stands_around_it(said: str) -> None:
    assert extract(said, jsonschema.Draft202012Validator(SCHEMA)) == {"a": 1}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("", "empty"),
        ("I can't", "no JSON"),
        ('{"a": ', "breaks off"),
        ('{"a": "x"}', "/a"),
        ("{}", "required"),
        ("7", "object"),
        ("[" * 100_000, "breaks off"),
    ],
)
def test_what_can_not_be_used_is_named(said: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        extract(said, jsonschema.Draft202012Validator(SCHEMA))


async def test_an_endpoint_that_does_not_count_tokens_still_says_texts(endpoint: Endpoint) -> None:
    endpoint.replies = [(400, "unknown field stream_options", {}), "good morning", "good evening", (422, "no such model", {})]
    async with model_at(endpoint) as model:
        assert await text(model, HELLO, Usage(), None) == "good morning"
        assert await text(model, HELLO, Usage(), None) == "good evening"
        with pytest.raises(NodeFailed, match="422"):
            await model.complete(HELLO)
    assert ["stream_options" in asked for asked in endpoint.asked] == [True, False, False, False]


async def test_a_reply_that_breaks_off_at_a_limit_is_an_error_and_costs(endpoint: Endpoint) -> None:
    cut = "".join(
        f"data: {event}\n\n"
        for event in (
            '{"choices": [{"delta": {"content": "{\\"a\\": 1} and"}, "finish_reason": null}]}',
            '{"choices": [{"delta": {}, "finish_reason": "length"}]}',
            '{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}',
            "[DONE]",
        )
    )
    endpoint.replies = [(200, cut, {})]
    usage = Usage()
    async with model_at(endpoint) as model:
        for ask in (text(model, HELLO, usage, None), value_of(model, usage)):
            with pytest.raises(NodeError, match=r"breaks off after 12 characters") as broken:
                await ask
            assert broken.value.retry
        assert len(endpoint.asked) == 2
        assert usage.total == 20
        endless = '{"choices": [{"delta": {"content": "' + "y" * (1024 * 1024 + 1) + '"}}]}'
        endpoint.replies = [(200, f"data: {endless}\n\n", {})]
        with pytest.raises(NodeError, match="breaks off"):
            await text(model, HELLO, usage, None)
