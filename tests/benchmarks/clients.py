"""Other ways to create mailboxes, each in a process of its own:

    python tests/benchmarks/clients.py WAY URL COUNT CONNECTIONS

Prints one JSON object: seconds of wall and CPU time, and how many mailboxes were confirmed. None of them writes
anything down, heeds a limit, or notices what it lost.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx

HEADERS = {"Authorization": "Api-Key sandbox-key", "Content-Type": "application/json"}
EVERY, TIMES = 5.0, 30
"""The vendor's guide asks about a task every five seconds, thirty times at most."""
EXTENSIONS = {"timeout": httpx.Timeout(30.0).as_dict()}
"""Whoever waits for an answer for ever loses a run; the clients below have time-outs of their own."""
Send = Callable[[str, str, bytes | None], Awaitable[Any]]


def body(number: int) -> bytes:
    return json.dumps(
        {
            "email": f"user{number}.name",
            "domain": 101,
            "relay_server": 201,
            "password": f"Sample-{number}-word!",
            "project": 789,
            "reply_to": "replies@client.com",
        }
    ).encode()


async def one(send: Send, number: int) -> bool:
    """Create one mailbox and ask until it is there, without a pause."""
    task_id = (await send("POST", "/api/mailboxes/", body(number)))["task_id"]
    while (await send("GET", f"/api/tasks/{task_id}/", None))["status"] != "success":
        pass
    return True


async def share(send: Send, numbers: Iterator[int]) -> int:
    return sum([await one(send, number) for number in numbers])


async def transports(url: str, count: int, connections: int) -> int:
    """Httpx's transport on one connection for each worker: the calls that this program makes, and nothing else."""
    numbers = iter(range(count))

    async def work() -> int:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        async with httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits) as transport:

            async def send(method: str, path: str, content: bytes | None) -> Any:
                request = httpx.Request(method, url + path, headers=HEADERS, content=content, extensions=EXTENSIONS)
                response = await transport.handle_async_request(request)
                await response.aread()
                return response.json()

            return await share(send, numbers)

    return sum(await asyncio.gather(*(work() for _ in range(connections))))


async def pool(url: str, count: int, connections: int) -> int:
    """One httpx client for all workers, as its documentation shows it."""
    numbers = iter(range(count))
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, limits=limits, trust_env=False) as client:

        async def send(method: str, path: str, content: bytes | None) -> Any:
            return (await client.request(method, path, content=content)).json()

        return sum(await asyncio.gather(*(share(send, numbers) for _ in range(connections))))


async def aiohttp(url: str, count: int, connections: int) -> int:
    """The leanest of the well-known clients."""
    import aiohttp as library

    numbers = iter(range(count))
    async with library.ClientSession(url, headers=HEADERS, connector=library.TCPConnector(limit=connections)) as client:

        async def send(method: str, path: str, content: bytes | None) -> Any:
            async with client.request(method, path, data=content) as response:
                return await response.json()

        return sum(await asyncio.gather(*(share(send, numbers) for _ in range(connections))))


async def guide_one(client: httpx.AsyncClient, number: int) -> bool:
    """What the vendor's guide shows for one mailbox; it knows no throttle, so a refusal is the end of it."""
    answer = await client.post("/api/mailboxes/", content=body(number))
    if answer.status_code >= 400:
        return False
    for _ in range(TIMES):
        status = (await client.get(f"/api/tasks/{answer.json()['task_id']}/")).json().get("status")
        if status in ("success", "failure"):
            return bool(status == "success")
        await asyncio.sleep(EVERY)
    return False


async def guide_in_turn(url: str, count: int, _connections: int) -> int:
    """The guide's way, one mailbox after the other."""
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, trust_env=False, timeout=60) as client:
        return sum([await guide_one(client, number) for number in range(count)])


async def guide_at_once(url: str, count: int, _connections: int) -> int:
    """The guide's way, all mailboxes at the same time."""
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, trust_env=False, timeout=60) as client:
        outcomes = await asyncio.gather(*(guide_one(client, number) for number in range(count)), return_exceptions=True)
    return sum(outcome is True for outcome in outcomes)


WAYS = {way.__name__: way for way in (transports, pool, aiohttp, guide_in_turn, guide_at_once)}


def main(way: str, url: str, count: int, connections: int) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    created = asyncio.run(WAYS[way](url, count, connections))
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "created": created}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
