"""Scripts in processes of their own: what they read and print, and what becomes of those that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake import Fake
from scripted import allowed, found, kind_of, run_script, sleeping, until
from swarms import QUICK, Scripted, first_question, history, leaf, swarm_of

from hivemem import AsyncClient, RunStatus
from hivemem._proto import router_pb2
from hivemem.swarm import Blueprint, NodeError, NodeFailed, RunEnd, Step, node_scripts, node_type
from hivemem.swarm.node import Ask, Finish, Spawn
from hivemem.swarm.sandbox import Sandbox, probe
from hivemem.swarm.script import outcome_of_output
from hivemem.types import EventKind

DETACHES = "for i in 1 2 3; do (setsid sleep {mark} &) ; sleep {mark} & done; wait; sleep {mark}"
"""A script that forks, some of it out of its process group, and hangs."""

FORKS = "sleep {mark} & (sleep {mark} &) ; sleep {mark}"
"""One that stays in its process group."""

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are counted in /proc")


def failed(end: RunEnd) -> str:
    assert end.status is RunStatus.FAILED, end
    return str(end.output["error"])


async def sandbox() -> Sandbox:
    return await probe(QUICK.scripts.path)


def lends(monkeypatch: pytest.MonkeyPatch, there: Sandbox) -> None:
    """Takes it that the kernel lends this."""
    monkeypatch.setattr("hivemem.swarm.launch.probe", found(there))


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    """Seconds that only the processes of this test sleep for."""
    return f"9{os.getpid()}{abs(hash(request.node.name)) % 1000:03}"


# What they read and print.


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("sh", "cat > input; echo '{\"answer\": '$(cat input)'}'"),
        ("Python", 'import json, sys\nprint(json.dumps({"answer": json.load(sys.stdin)}))'),
    ],
)
async def test_scripts_are_nodes_and_read_what_they_are(
    fake: Fake, fake_client: AsyncClient, tmp_path: Path, language: str, code: str
) -> None:
    end = await run_script(fake_client, allowed(tmp_path), code, language)
    assert end.output == {
        "type": "scripted",
        "data": {"word": "lantern"},
        "node": "0",
        "attempt": 1,
        "answer": None,
        "children": [],
        "keep": None,
        "context": "",
    }
    assert [memory.node for memory in fake.memory.remembered] == ["0"]
    left = [path.name for path in (tmp_path / end.run).iterdir()]
    assert left == (["input"] if language == "sh" else []), "it ran in the folder of the run, and its code is gone"
    assert "scripts" not in json.loads(fake.swarm.runs[end.run].settings)["limits"]


async def test_scripts_spawn_keep_and_resume(fake_client: AsyncClient, tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "given = json.load(sys.stdin)\n"
        "if given['children']:\n"
        "    print(json.dumps({'answer': [given['children'], given['keep']]}))\n"
        "else:\n"
        "    leaf = {'type': 'leaf', 'data': {'n': 2}}\n"
        "    print(json.dumps({'children': [leaf], 'then': [leaf], 'keep': 'lamp'}))\n"
    )
    settings = allowed(tmp_path)
    for resumes, output in (
        (True, [[{"number": number, "type": "leaf", "output": 4} for number in (0, 1)], "lamp"]),
        (False, [4, 4]),
    ):
        swarm = swarm_of(fake_client, leaf, kind_of(code, "python", resumes=resumes), settings=settings)
        end = await swarm.run("x", Blueprint("scripted"))
        assert (end.output, end.nodes) == (output, 3)


async def test_a_script_with_an_effect_may_ask_first_and_runs_once(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    code = (
        'case "$(cat)" in *\'"answer":"blue"\'*) echo x >> runs; echo \'{"answer": "painted"}\';; '
        '*) echo \'{"question": "Which colour?", "choices": ["red", "blue"]}\';; esac'
    )

    @node_type("twice")
    async def twice(step: Step) -> Any:
        if step.answer is None:
            return Ask("Which colour?", ("blue",))
        inner = replace(step, type="scripted")
        return [(await kind.execute(inner)).output for _ in range(2)]

    kind = kind_of(code, effect=True)
    swarm = swarm_of(fake_client, kind, twice, settings=allowed(tmp_path))
    for root, output in (("scripted", "painted"), ("twice", ["painted", "painted"])):
        run = await swarm.create("x", Blueprint(root))
        working = asyncio.create_task(swarm.resume(run))
        assert (await first_question(fake_client)).text == "Which colour?"
        await fake_client.answer_question(run, "0", "blue")
        assert (await asyncio.wait_for(working, 20)).output == output
        assert (tmp_path / run / "runs").read_text() == "x\n"
        assert fake.swarm.runs[run].fold.receipts == {("0", "script 0"): '{"answer":"painted"}'}


async def test_functions_reach_scripts_and_their_arguments_are_checked(fake_client: AsyncClient, tmp_path: Path) -> None:
    @node_type("caller")
    async def caller(step: Step) -> Any:
        with pytest.raises(NodeError, match="data of scripted: /n: 'x' is not of type 'integer'"):
            await step.exec_function("scripted", {"n": "x"})
        with pytest.raises(NodeFailed, match="spawn it"):
            await step.exec_function("spawns", {})
        return await step.exec_function("scripted", {"n": 3})

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    tool = kind_of("import json, sys\nprint(json.load(sys.stdin)['n'] * 2)", "python", arguments=schema, tool=True)
    code = 'echo \'{"children": [{"type": "caller"}]}\''
    (spawns,) = node_scripts(json.dumps({"spawns": {"language": "sh", "code": code}}))
    swarm = swarm_of(fake_client, tool, spawns, caller, settings=allowed(tmp_path))
    assert (await swarm.run("x", Blueprint("caller"))).output == 6


def test_outputs_of_scripts_are_one_of_three_things() -> None:
    assert outcome_of_output({"answer": None}) == Finish(None)
    assert outcome_of_output({"question": "?", "choices": ["a"]}) == Ask("?", ("a",))
    spawned = outcome_of_output({"children": [{"type": "a"}], "then": [{"type": "b", "data": 1}], "keep": 2})
    assert spawned == Spawn(children=(Blueprint("a", {}),), then=(Blueprint("b", 1),), keep=2)
    for bad in (
        {},
        [],
        3,
        {"answer": 1, "question": "?"},
        {"children": [{"data": 1}]},
        {"oops": 1},
        {"children": []},
        {"keep": 1},
    ):
        with pytest.raises(NodeError, match="the output"):
            outcome_of_output(bad)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "a JSON object by node type"),
        ('{"x": {"language": "sh"}}', "node script 'x' needs a language and a script"),
        ('{"x": {"script": "true"}}', "node script 'x' needs a language and a script"),
        ('{"x": {"language": "sh", "script": 1}}', "node script 'x': /script: 1 is not of type 'string'"),
        ('{"x": {"language": "sh", "script": "true", "arguments": {"type": "no"}}}', "node script 'x': the schema of x can't be"),
        ('{"a\\nb": {"language": "sh", "script": "true"}}', "can't name a node type"),
    ],
)
def test_node_scripts_that_are_not_understood_are_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        node_scripts(text)


# Those that misbehave.


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("echo hello", "the script printed no JSON"),
        ("echo '{\"answer\": NaN}'", "the script printed no JSON"),
        ("exit 3", "the script ended with 3"),
        ("echo broken >&2; exit 1", "the script ended with 1: broken"),
        ("echo '{\"oops\": 1}'", "the output is neither an answer nor blueprints"),
        ('echo \'{"children": [{"type": "nobody_knows_it"}]}\'', "it spawns a 'nobody_knows_it': there is no node type"),
        ("while :; do echo flood; done", "the script printed more than 65536 bytes, which is the limit"),
        ("head -c 200000 /dev/zero > large || exit 7", "the script ended with 7"),
    ],
)
async def test_scripts_that_misbehave_fail_their_node(fake_client: AsyncClient, tmp_path: Path, code: str, says: str) -> None:
    settings = allowed(tmp_path, output_bytes=64 * 1024, wall_ms=20_000)
    assert failed(await run_script(fake_client, settings, code)).startswith(says)


@on_linux
@pytest.mark.parametrize("kept", [True, False])
async def test_a_script_that_forks_and_hangs_is_gone_in_time(
    fake_client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, kept: bool
) -> None:
    if kept and not (await sandbox()).namespaces:
        pytest.skip("this kernel lends no namespaces")
    if not kept:
        lends(monkeypatch, Sandbox(namespaces=False, network=False))
    code = (DETACHES if kept else FORKS).format(mark=mark)
    began = time.monotonic()
    end = await run_script(fake_client, allowed(tmp_path, wall_ms=800), code)
    assert failed(end) == "the script ran longer than 800 ms"
    assert time.monotonic() - began < 10
    await until(lambda: sleeping(mark) == 0, f"{sleeping(mark)} processes live on")
    assert list((tmp_path / end.run).iterdir()) == [], "its code is gone"


@on_linux
async def test_a_run_that_is_cancelled_leaves_no_process(fake_client: AsyncClient, tmp_path: Path, mark: str) -> None:
    swarm = swarm_of(fake_client, kind_of(f"sleep {mark} & sleep {mark}"), settings=replace(allowed(tmp_path), lease_ms=1_000))
    run = await swarm.create("x", Blueprint("scripted"))
    working = asyncio.create_task(swarm.resume(run))
    await until(lambda: sleeping(mark) == 2, "the script does not begin")
    await fake_client.cancel_run(run)
    assert (await asyncio.wait_for(working, 10)).status is RunStatus.CANCELLED
    await until(lambda: sleeping(mark) == 0, f"{sleeping(mark)} processes live on")


@on_linux
async def test_what_a_script_left_behind_does_not_live_on(fake_client: AsyncClient, tmp_path: Path, mark: str) -> None:
    code = f"sleep {mark} > /dev/null 2>&1 & echo '{{\"answer\": 1}}'"
    assert (await run_script(fake_client, allowed(tmp_path), code)).output == 1
    await until(lambda: sleeping(mark) == 0, f"{sleeping(mark)} processes live on")


KILLED = """
import asyncio, sys
from pathlib import Path
from scripted import allowed, found, run_script
from hivemem import AsyncClient
from hivemem.swarm import launch
from hivemem.swarm.sandbox import Sandbox

async def main(address, folder, code, kept):
    if not kept:
        launch.probe = found(Sandbox(namespaces=False, network=False))
    async with AsyncClient(address) as client:
        await run_script(client, allowed(Path(folder)), code)

asyncio.run(main(*sys.argv[1:4], sys.argv[4] == "True"))
"""


@on_linux
@pytest.mark.parametrize("kept", [True, False])
async def test_a_script_ends_with_a_client_that_is_killed(
    fake: Fake, fake_client: AsyncClient, tmp_path: Path, mark: str, kept: bool
) -> None:
    if kept and not (await sandbox()).namespaces:
        pytest.skip("this kernel lends no namespaces")
    code = (DETACHES if kept else FORKS).format(mark=mark)
    begun = 6 if kept else 3
    words = [sys.executable, "-c", KILLED, fake.address, str(tmp_path), code, str(kept)]
    child = await asyncio.create_subprocess_exec(*words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        await until(lambda: sleeping(mark) == begun, f"not all {begun} processes begin")
    finally:
        child.kill()
        await child.wait()
    await until(lambda: sleeping(mark) == 0, f"{sleeping(mark)} processes live on")


@pytest.mark.parametrize("shell", ["bash", "dash"])
async def test_either_shell_begins_a_script(
    fake_client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    if (found := shutil.which(shell)) is None:
        pytest.skip(f"there is no {shell}")
    there = tmp_path / "bin"
    there.mkdir()
    (there / "sh").symlink_to(found)
    settings = allowed(tmp_path)
    settings = allowed(tmp_path, path=f"{there}{os.pathsep}{settings.scripts.path}")
    # Begun by the shell of that path, where it is; asyncio looks the command up on the path of this process.
    monkeypatch.setenv("PATH", settings.scripts.path)
    code = "import json, sys\nprint(json.dumps({'answer': [json.load(sys.stdin)['data']['word']]}))"
    assert (await run_script(fake_client, settings, code, "python")).output == ["lantern"]


async def test_a_script_need_not_read_its_input(fake_client: AsyncClient, tmp_path: Path) -> None:
    swarm = swarm_of(fake_client, kind_of("echo '{\"answer\": 1}'"), settings=allowed(tmp_path))
    end = await asyncio.wait_for(swarm.run("x", Blueprint("scripted", {"text": "x" * 240_000})), 20)
    assert end.output == 1, "it is more than a pipe holds"


# What is kept from them.


async def test_a_script_gets_no_secrets(fake_client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIVEMEM_TOKEN", "lantern-secret")
    code = "import json, os\nprint(json.dumps({'answer': dict(os.environ)}))"
    end = await run_script(fake_client, allowed(tmp_path), code, "python")
    assert end.output.keys() <= {"HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
    assert end.output["HOME"] == str((tmp_path / end.run).resolve())
    assert "lantern-secret" not in json.dumps(end.output)


@on_linux
async def test_a_script_can_not_read_the_secrets_of_other_processes(fake_client: AsyncClient, tmp_path: Path, mark: str) -> None:
    if not (await sandbox()).namespaces:
        pytest.skip("this kernel lends no namespaces")
    other = subprocess.Popen(["sleep", mark], env={**os.environ, "SECRET": "lantern-secret"})
    try:
        await until(lambda: b"lantern-secret" in Path(f"/proc/{other.pid}/environ").read_bytes(), "it has no secret")
        code = f"[ -e /proc/{other.pid} ] && grep -c lantern-secret /proc/{other.pid}/environ; echo '{{\"answer\": 1}}'"
        assert (await run_script(fake_client, allowed(tmp_path), code)).output == 1, "it printed no count before"
    finally:
        other.kill()
        other.wait(10)


async def test_a_script_has_limits(fake_client: AsyncClient, tmp_path: Path) -> None:
    end = await run_script(fake_client, allowed(tmp_path), "echo '{\"answer\": \"'$(ulimit -v) $(ulimit -t) $(ulimit -c)'\"}'")
    assert end.output == "2097152 60 0"
    code = "import json\nheld = bytearray(300 * 1024 * 1024)\nprint(json.dumps({'answer': len(held)}))"
    end = await run_script(fake_client, allowed(tmp_path, memory_bytes=256 * 1024 * 1024), code, "python")
    assert "MemoryError" in failed(end)


@on_linux
async def test_a_script_has_no_network_unless_it_is_allowed(fake_client: AsyncClient, tmp_path: Path) -> None:
    if not (await sandbox()).network:
        pytest.skip("this kernel lends no network namespace")
    code = "echo '{\"answer\": \"'$(tail -n +3 /proc/net/dev | cut -d: -f1)'\"}'"
    alone = await run_script(fake_client, allowed(tmp_path), code)
    assert alone.output.split() == ["lo"]
    assert not [event for event in await history(fake_client, alone.run) if "notes" in event.data], "nothing was missing"
    networked = await run_script(
        fake_client, allowed(tmp_path, network=True), 'readlink /proc/self/ns/net | sed \'s/.*/{"answer": "&"}/\''
    )
    assert networked.output == os.readlink("/proc/self/ns/net")


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (Sandbox(namespaces=False, network=False), "the script had the network, and what it detached may live on"),
        (Sandbox(namespaces=True, network=False), "the script had the network: this kernel"),
    ],
)
@pytest.mark.parametrize("code", ["echo '{\"answer\": 1}'", "exit 3"])
async def test_what_the_kernel_does_not_lend_is_said(
    fake_client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: Sandbox, says: str, code: str
) -> None:
    if there.namespaces and not (await sandbox()).namespaces:
        pytest.skip("this kernel lends no namespaces")
    lends(monkeypatch, there)
    end = await run_script(fake_client, allowed(tmp_path), code)
    kind = EventKind.NODE_OUTPUT if end.status is RunStatus.SUCCEEDED else EventKind.NODE_ERROR
    (told,) = [event for event in await history(fake_client, end.run) if event.kind is kind]
    assert json.loads(told.data)["notes"][0].startswith(says)


async def test_a_script_that_a_signal_ends_says_so(
    fake_client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a namespace of its own the first process can't be killed by itself.
    lends(monkeypatch, Sandbox(namespaces=False, network=False))
    assert failed(await run_script(fake_client, allowed(tmp_path), "echo why >&2; kill -9 $$")) == "the script was killed: why"


async def test_scripts_do_not_run_unless_somebody_allowed_them(fake: Fake, fake_client: AsyncClient, tmp_path: Path) -> None:
    forbidden = replace(QUICK, work_dir=tmp_path)
    end = await run_script(fake_client, forbidden, f"touch {tmp_path}/never; echo '{{\"answer\": 1}}'")
    assert failed(end).startswith("scripts are not allowed in this run: whoever starts it has to say so")
    begun = [event.kind for event in await history(fake_client, end.run)].count(EventKind.RUN_NODE)
    assert (begun, list(tmp_path.iterdir())) == (1, []), "another attempt would not be allowed either"
    assert failed(await run_script(fake_client, allowed(tmp_path), "x", "cobol")).startswith(
        "no interpreter for 'cobol'; there are: bash,"
    )
    gone = allowed(tmp_path, interpreters={"sh": ["no-such-command"]})
    assert "no-such-command" in failed(await run_script(fake_client, gone, "true"))


@on_linux
async def test_a_run_with_scripts_is_left_as_it_is_by_a_swarm_that_may_not_run_them(
    fake: Fake, fake_client: AsyncClient, tmp_path: Path, mark: str
) -> None:
    settings, kind = allowed(tmp_path), kind_of(f"[ -e go ] || sleep {mark}; echo '{{\"answer\": 1}}'")
    swarm = swarm_of(fake_client, kind, settings=settings)
    run = await swarm.create("x", Blueprint("scripted"))
    working = asyncio.create_task(swarm.resume(run))
    await until(lambda: sleeping(mark) == 1, "the script does not begin")
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await until(lambda: sleeping(mark) == 0, "the script lives on")
    before = list(fake.swarm.runs[run].fold.events)
    with pytest.raises(ValueError, match=r"scripted \(it is a script, and scripts are not enabled\)"):
        await swarm_of(fake_client, kind).resume(run)
    assert fake.swarm.runs[run].fold.events == before
    (tmp_path / run / "go").touch()
    assert (await swarm.resume(run)).output == 1


# The catalogue.


async def test_scripts_that_were_registered_are_found_by_a_swarm_that_was_not_given_them(
    fake: Fake, fake_client: AsyncClient, tmp_path: Path
) -> None:
    entries = {
        "one": {"language": "sh", "description": "Says 1.", "script": "echo '{\"answer\": 1}'", "effect": True, "resumes": True},
        "fork": {"language": "sh", "script": 'echo \'{"children": [{"type": "one"}, {"type": "one"}]}\''},
    }
    await swarm_of(fake_client, *node_scripts(json.dumps(entries))).register()
    one, fork = fake.router.registered
    assert (one.kind, one.language, one.code, one.folder) == ("script", "sh", entries["one"]["script"], "swarm")
    assert (dict(one.metadata), list(one.utterances)) == ({"outcome": "node", "effect": "true", "resumes": "true"}, ["Says 1."])
    assert (fork.arguments, dict(fork.metadata)) == ('{"type":"object"}', {"outcome": "node"})
    strangers = swarm_of(fake_client, leaf, settings=allowed(tmp_path))
    end = await strangers.run("x", Blueprint("fork"))
    assert (end.output, end.nodes) == ([1, 1], 3)
    await strangers.register()
    assert [node.name for node in fake.router.registered] == ["one", "fork", "leaf"], "what it found there it leaves there"


@pytest.mark.parametrize(("kind", "language"), [("mcp_tool", ""), ("function", "python"), ("llm", "Rust"), ("", "")])
async def test_what_has_its_code_elsewhere_is_not_made_up(fake: Fake, fake_client: AsyncClient, kind: str, language: str) -> None:
    fake.router.registered = [router_pb2.Node(name="elsewhere", kind=kind, language=language)]

    @node_type("spawns")
    async def spawns(step: Step) -> Any:
        return Spawn(children=(Blueprint("elsewhere"),))

    swarm = swarm_of(fake_client, spawns)
    assert "elsewhere can't be run here: it is a " in failed(await swarm.run("x", Blueprint("spawns")))
    with pytest.raises(ValueError, match="the catalogue has no code of it"):
        await swarm.run("x", Blueprint("elsewhere"))


async def test_a_prompt_of_the_catalogue_asks_the_model_with_a_context(fake: Fake, fake_client: AsyncClient) -> None:
    fake.router.registered = [router_pb2.Node(name="rhyme", kind="llm", description="Find a rhyme.")]
    model = Scripted("night")
    end = await swarm_of(fake_client, leaf, model=model).run("x", Blueprint("rhyme", {"of": "light"}))
    assert end.output == "night"
    assert 'Your task, as it is described: Find a rhyme.\n\n{"of":"light"}' in model.asked[0][-1]["content"]
    assert fake.memory.contexts[0].task == 'Find a rhyme.\n{"of":"light"}'
    fake.router.registered = [router_pb2.Node(name="broken", kind="llm", arguments="{")]
    with pytest.raises(ValueError, match="the schema of broken is not JSON"):
        await swarm_of(fake_client, leaf).run("x", Blueprint("broken"))
