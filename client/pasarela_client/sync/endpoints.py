# Generated from ../aio/ by client/generate_sync.py (make client-sync): change that, not this.
"""The servers that a client may ask: one connection to each, and calls that find the one which answers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc

from pasarela_client.addresses import Address, parse_addresses
from pasarela_client.channel_options import channel_options
from pasarela_client.connection import Connection
from pasarela_client.credentials import TokenSource, read_credentials
from pasarela_client.errors import (
    DeadlineExpired,
    PasarelaError,
    RequestCancelled,
    ServerStopping,
    ServerUnreachable,
    from_rpc_error,
    named,
)
from pasarela_client.retry import Failed, RetryBudget, trouble_of, wait_s
from pasarela_client.rotation import Rotation
from pasarela_client.scope import Scope
from pasarela_client.sync.concurrency import (
    Channel,
    Condition,
    ask_service,
    insecure_channel,
    off_loop,
    secure_channel,
)
from pasarela_client.time_limits import time_limit

S = TypeVar("S")
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[S]):
    """One server and the connection to it."""

    index: int
    url: str
    channel: Channel
    service: S
    """The stub that the client was built with, on this connection."""


def _open(address: Address, credentials: grpc.ChannelCredentials | None, connection: Connection) -> Channel:
    options = channel_options(connection)
    if credentials is None:
        return insecure_channel(address.target, options)
    return secure_channel(address.target, credentials, options)


class Endpoints(Generic[S]):
    """Servers that are asked in turn. One that cannot be reached is left out for a while."""

    def __init__(
        self,
        url: str | Sequence[str],
        connection: Connection,
        service: Callable[[Channel], S],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Checks addresses, files and token, and connects to nobody.

        Args:
            url: `host:port`, or several of them in a list or with commas between.
            connection: How to reach them.
            service: The stub's class.
            clock: Seconds that never go back.
            chance: From 0 to 1, drawn anew.

        Raises:
            InvalidRequest: An address is none, a file cannot be used, or the token would be readable on its way.
        """
        self._addresses = parse_addresses(url)
        self.url = ", ".join(address.target for address in self._addresses)
        self.connection = connection
        self._credentials = [read_credentials(connection, address) for address in self._addresses]
        self._token = None if connection.token is None else TokenSource(connection.token)
        self._service = service
        self._clock = clock
        self._chance = chance
        self._rotation = Rotation(len(self._addresses), clock=clock, chance=chance)
        self._budget = RetryBudget(connection.retry)
        self._opening = threading.Lock()
        self._endpoints: tuple[Endpoint[S], ...] = ()
        self.closed = False
        """Whether `close` was called."""
        self._waiting = Condition()

    def __len__(self) -> int:
        return len(self._addresses)

    def is_secure(self, endpoint: Endpoint[S]) -> bool:
        """Whether its address asked for TLS."""
        return self._addresses[endpoint.index].secure

    def close(self) -> None:
        """Closes the connections. Calls that are under way end with `RequestCancelled`."""
        with self._opening:  # who is about to open them either is done, or finds this closed
            self.closed = True
        self.wake()
        for endpoint in self._endpoints:
            endpoint.channel.close()

    def wake(self) -> None:
        """Lets calls that wait for their next try find out that their scope is over."""
        with self._waiting:
            self._waiting.notify_all()

    def ask(
        self,
        method: str,
        request: Any,
        *,
        timeout_s: float | None,
        model: str = "",
        request_id: str = "",
        retry: bool = True,
        compressed: bool = False,
        metadata: Metadata = (),
        scope: Scope | None = None,
    ) -> Any:
        """The answer to one request, of the first server that gives one.

        Args:
            method: Name of the RPC.
            request: Its message; asking twice must do no harm, unless `retry` is off.
            timeout_s: Longest wait for all tries together; None waits for ever.
            model: The model that is asked, for errors.
            request_id: How the request is called, for errors.
            retry: Whether it may be tried again, as the connection's settings say.
            compressed: Whether to compress the message.
            metadata: Sent along, beside the token.
            scope: Gives the call up when it is over.

        Raises:
            PasarelaError: One of its kinds says what went wrong, the last time.
        """
        timeout_s = time_limit(timeout_s)
        ends_s = None if timeout_s is None else self._clock() + timeout_s
        tries, tried = 0, set[int]()
        while True:
            endpoint = self.pick(tried, model=model, request_id=request_id)
            try:
                with named(model, request_id):
                    sent = self.metadata(metadata)
                response = ask_service(
                    getattr(endpoint.service, method),
                    request,
                    scope,
                    timeout=None if ends_s is None else ends_s - self._clock(),
                    metadata=sent,
                    compression=grpc.Compression.Gzip if compressed else None,
                )
            except grpc.RpcError as raised:
                error = self.convert(raised, endpoint, model=model, request_id=request_id, scope=scope)
                self.report(endpoint, error)
            except Exception as raised:
                if not self.closed:
                    raise
                # gRPC's words for a channel that was closed just before the call.
                raise self.was_closed(model, request_id) from raised
            else:
                self.report(endpoint)
                return response
            tries += 1
            tried.add(endpoint.index)
            seconds = self._wait_s(error, tries, tried, ends_s) if retry and not (scope and scope.over) else None
            if seconds is None:
                raise error from error.__cause__
            if seconds:
                tried.clear()
                self._pause(seconds, scope, model=model, request_id=request_id)

    def pick(self, tried: Collection[int] = (), *, model: str = "", request_id: str = "") -> Endpoint[S]:
        """Whose turn it is.

        Args:
            tried: Indices of those that are not to be taken if there is another.
            model: The model that is asked, for errors.
            request_id: How the request is called, for errors.

        Raises:
            RequestCancelled: The endpoints are closed.
        """
        with self._opening:
            if self.closed:
                raise RequestCancelled(f"the client of {self.url} is closed", model=model, request_id=request_id)
            if not self._endpoints:
                self._endpoints = tuple(self._open_all())
        return self._endpoints[self._rotation.pick(tried)]

    def others_are_well(self) -> bool:
        """Whether there is a server that is not left out."""
        return self._rotation.untried(())

    def report(self, endpoint: Endpoint[S], error: PasarelaError | None = None) -> None:
        """Takes note of how an endpoint did: of an answer, whatever it said, or of none."""
        if isinstance(error, ServerUnreachable):
            self._rotation.failed(endpoint.index)
        elif isinstance(error, DeadlineExpired) and not error.told_by_server:
            self._rotation.silent(endpoint.index)
        elif not isinstance(error, RequestCancelled):
            self._rotation.answered(endpoint.index)
        if error is None:
            self._budget.succeeded()

    def metadata(self, metadata: Metadata = ()) -> Metadata:
        """What is sent with a call: this, and the token that is good now.

        Raises:
            InvalidRequest: The function that gives the token gave none.
        """
        if self._token is None:
            return metadata
        token = off_loop(self._token.current) if self._token.may_block else self._token.current()
        return (*metadata, ("authorization", f"Bearer {token}"))

    def convert(
        self,
        error: grpc.RpcError,
        endpoint: Endpoint[S],
        *,
        model: str = "",
        request_id: str = "",
        scope: Scope | None = None,
    ) -> PasarelaError:
        """What gRPC raised, as callers see it, with the original as its cause.

        Who cancels a call that nobody here cancelled, neither by closing this nor by its scope, is a server that ends.
        """
        if self.closed:
            converted: PasarelaError = self.was_closed(model, request_id)
        else:
            converted = from_rpc_error(error, url=endpoint.url, model=model, request_id=request_id)
            if isinstance(converted, RequestCancelled) and not (scope and scope.over):
                converted = ServerStopping(
                    f"the server at {endpoint.url} gave the call up",
                    model=model,
                    status=converted.status,
                    request_id=request_id,
                )
        converted.__cause__ = error
        return converted

    def was_closed(self, model: str, request_id: str) -> RequestCancelled:
        """The error of what was under way when this was closed."""
        return RequestCancelled(
            f"the client of {self.url} was closed",
            model=model,
            request_id=request_id,
            status=grpc.StatusCode.CANCELLED,
        )

    def _open_all(self) -> Iterable[Endpoint[S]]:
        for index, address in enumerate(self._addresses):
            channel = _open(address, self._credentials[index], self.connection)
            yield Endpoint(index, address.target, channel, self._service(channel))

    def _wait_s(self, error: PasarelaError, tries: int, tried: set[int], ends_s: float | None) -> float | None:
        failed = Failed(
            trouble_of(error),
            tries,
            None if ends_s is None else ends_s - self._clock(),
            self._rotation.untried(tried),
        )
        seconds = wait_s(self.connection.retry, failed, self._chance())
        return seconds if not seconds or self._budget.spend() else None

    def _pause(self, seconds: float, scope: Scope | None, *, model: str, request_id: str) -> None:
        until_s = self._clock() + seconds
        with self._waiting:
            while not self.closed and not (scope and scope.over):
                left_s = until_s - self._clock()
                if left_s <= 0:
                    return
                self._waiting.wait(left_s)
        raise RequestCancelled(f"the call to {self.url} was given up", model=model, request_id=request_id)
