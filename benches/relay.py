#!/usr/bin/env python3
"""Relays TCP connections to a server on loopback with a delay: relay.py PORT DELAY-MS COUNTS-FILE

Each direction is delayed by DELAY-MS, and the opening of a connection by twice that. COUNTS-FILE
gets one line for each connection: bytes up, bytes down. Prints the port on which it listens.
"""

import asyncio
import sys

PORT, DELAY, COUNTS = int(sys.argv[1]), float(sys.argv[2]) / 1000, sys.argv[3]


async def carry(reader, writer, first_delay):
    """Delivers each piece DELAY seconds after it arrived, and the first piece after
    `first_delay`."""
    loop = asyncio.get_running_loop()
    pieces, count = asyncio.Queue(), 0

    async def deliver():
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not piece:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    delay = first_delay
    while True:
        piece = await reader.read(65536)
        count += len(piece)
        pieces.put_nowait((loop.time() + delay, piece))
        delay = DELAY
        if not piece:
            break
    await delivery
    return count


async def serve(reader, writer):
    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", PORT)
    try:
        carried = [carry(reader, up_writer, 3 * DELAY), carry(up_reader, writer, DELAY)]
        counts = await asyncio.gather(*carried, return_exceptions=True)
        with open(COUNTS, "a") as file:
            print(*counts, file=file)
    finally:
        up_writer.close()
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
