"""Transports that break one rule of the contract each, with the tests that have to notice."""

from __future__ import annotations

import asyncio
import functools
import http.client
import logging
import threading
import time
import zlib
from dataclasses import replace

import aiohttp  # noqa: F401 - pytester forgets what is imported first within its runs
import anyio._backends._asyncio  # as above
import anyio.from_thread  # noqa: F401 - as above

from memtrace.exceptions import ClientClosedError
from memtrace.plugins import TransportSpec
from memtrace.testing import _transport_contract as transport_contract  # noqa: F401 - as above
from memtrace.transport import Headers, Request, Response, TransportError
from memtrace_transports import AiohttpTransport
from tests.contracts import noticing
from tests.contracts.plain_transport import Plain

BLOCKING = {}
AWAITING = {}

noticed_by = functools.partial(noticing.noticed_by, table=BLOCKING)


@noticed_by("no_status_raises")
class RaisesForStatus(Plain):
    def send(self, request):
        response = super().send(request)
        if response.status >= 500:
            raise self.error(f"status {response.status}", "protocol", maybe_sent=True)
        return response


@noticed_by("no_redirect_is_followed")
class FollowsRedirects(Plain):
    def send(self, request):
        response = super().send(request)
        if response.status == 307 and "location" in response.headers:
            origin, _, target = response.headers["location"].rpartition("/")
            return super().send(Request(request.method, origin, "/" + target, request.headers, request.body))
        return response


@noticed_by("targets_go_out_byte_for_byte")
class RewritesTargets(Plain):
    def target(self, request):
        return request.target.replace("%7E", "~")


@noticed_by("headers_go_out_as_they_are")
class JoinsHeaders(Plain):
    def headers(self, request):
        return list(request.headers.items())


@noticed_by("headers_come_back")
class KeepsOneHeaderOfEachName(Plain):
    def read(self, connection, end):
        response, kept = super().read(connection, end)
        return Response(response.status, Headers(dict(response.headers)), response.body), kept


@noticed_by("bodies_come_back_whole")
class TakesBodiesForText(Plain):
    def read_body(self, connection, answer, end):
        return super().read_body(connection, answer, end).decode(errors="replace").encode()


@noticed_by("compressed_bodies_come_back_decompressed", "option_max_response_bytes")
class LeavesBodiesCompressed(Plain):
    capabilities = ("max_response_bytes",)

    def headers(self, request):
        return [*request.headers.multi_items, ("Accept-Encoding", "gzip")]

    def read_body(self, connection, answer, end):
        body = super().read_body(connection, answer, end)
        if len(body) > self.options.max_response_bytes:
            raise self.error("too long", "protocol", maybe_sent=True)
        return body


@noticed_by("option_max_response_bytes")
class BoundsBodiesTooLate(LeavesBodiesCompressed):
    def read_body(self, connection, answer, end):
        body = Plain.read_body(self, connection, answer, end)
        return zlib.decompress(body, 31) if body and answer.getheader("content-encoding") else body


@noticed_by("an_answer_to_head", "methods_go_out")
class TakesALengthForABody(Plain):
    def read_body(self, connection, answer, end):
        body = super().read_body(connection, answer, end)
        if len(body) < int(answer.getheader("content-length", 0)):
            raise self.error("the answer is cut short", "protocol", maybe_sent=True)
        return body


@noticed_by("bodies_go_out_whole")
class ForgetsEmptyBodies(Plain):
    def body(self, request):
        return request.body or None


@noticed_by("an_answer_that_does_not_come_in_time")
class WaitsLongForTheBody(Plain):
    def read_body(self, connection, answer, end):
        if connection.sock is not None:
            connection.sock.settimeout(3)
        return super().read_body(connection, answer, end)


@noticed_by("a_refused_connection")
class SaysThatARefusedRequestWasSent(Plain):
    def error(self, text, cause, *, maybe_sent):
        return super().error(text, cause, maybe_sent=maybe_sent or cause == "connect")


@noticed_by("a_connection_that_breaks")
class SaysThatABrokenRequestWasNotSent(Plain):
    def error(self, text, cause, *, maybe_sent):
        return super().error(text, cause, maybe_sent=maybe_sent and cause != "reset")


@noticed_by("a_connection_that_does_not_come_about_in_time")
class TakesATimeoutForARefusal(Plain):
    def error(self, text, cause, *, maybe_sent):
        return super().error(text, cause if maybe_sent else "connect", maybe_sent=maybe_sent)


@noticed_by("a_connection_that_does_not_come_about_in_time")
class CannotTellConnectingFromWaiting(Plain):
    def error(self, text, cause, *, maybe_sent):
        return super().error(text, cause, maybe_sent=maybe_sent or cause == "timeout")


@noticed_by("an_answer_that_is_no_http", "a_failed_request_leaves", "no_error_and_no_log")
class LetsItsLibrarysErrorsThrough(Plain):
    def failure(self, error, request):
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, OSError):
            return error
        return super().failure(error, request)


@noticed_by("a_body_that_is_cut_short", "a_failed_request_leaves")
class TakesWhatCame(Plain):
    def read_body(self, connection, answer, end):
        try:
            return super().read_body(connection, answer, end)
        except http.client.IncompleteRead as error:
            return error.partial


@noticed_by("each_failure_is_a_new_error")
class RaisesOneErrorAgainAndAgain(Plain):
    @functools.cached_property
    def broken(self):
        return TransportError("the connection broke", cause="reset", maybe_sent=True)

    def error(self, text, cause, *, maybe_sent):
        return self.broken if cause == "reset" else super().error(text, cause, maybe_sent=maybe_sent)


@noticed_by("a_connection_that_breaks", "each_failure_is_a_new_error", "a_failed_request_leaves")
class SendsAgain(Plain):
    def send(self, request):
        try:
            return super().send(request)
        except TransportError as error:
            if error.cause != "reset":
                raise
            return super().send(request)


@noticed_by("a_connection_that_breaks_after_others_were_answered")
class SendsAgainOnAKeptConnection(Plain):
    def send(self, request):
        kept = bool(self.idle)
        try:
            return super().send(request)
        except TransportError as error:
            if error.cause != "reset" or not kept:
                raise
            return super().send(request)


@noticed_by("an_answer_that_came_late_is_given_to_nobody")
class KeepsAConnectionThatOwesAnAnswer(Plain):
    def read(self, connection, end):
        try:
            return super().read(connection, end)
        except TimeoutError:
            owing = http.client.HTTPConnection(connection.host, connection.port)
            owing.sock, owing.origin, owing.owes = connection.sock.dup(), connection.origin, True
            self.give_back(owing)
            raise

    def is_silent(self, connection):
        return hasattr(connection, "owes") or super().is_silent(connection)


@noticed_by("each_of_many_requests_at_once")
class MixesThreadsUp(Plain):
    def send(self, request):
        self.request = request
        time.sleep(0.0005)
        return super().send(self.request)


@noticed_by("children_of_a_fork_share_no_connection")
class SharesConnectionsWithItsChildren(Plain):
    def send(self, request):
        is_numbered = request.target.count("/") == 2  # as those of the children and their parent are
        return super().send(replace(request, timeout=1.0) if is_numbered else request)

    def take(self, origin):
        kept = [connection for connection in self.idle if connection.origin == origin]
        if not kept:
            return None
        self.idle.remove(kept[0])
        return kept[0]


@noticed_by("children_of_a_fork_share_no_connection")
class FailsBesideItsChildren(Plain):
    def send(self, request):
        if request.target.startswith("/4/"):  # the parent's
            raise self.error("a child has closed the connection", "reset", maybe_sent=True)
        return super().send(request)


@noticed_by("a_connection_is_kept_for_the_next_request")
class KeepsNoConnection(Plain):
    def give_back(self, connection):
        connection.close()


@noticed_by("bytes_behind_an_answer")
class TakesWhatCameForTheNextAnswer(Plain):
    def is_silent(self, connection):
        return True


@noticed_by("no_cookie_is_kept")
class KeepsCookies(Plain):
    cookie = None

    def headers(self, request):
        return [*request.headers.multi_items, *([("Cookie", self.cookie)] if self.cookie else [])]

    def read(self, connection, end):
        response, kept = super().read(connection, end)
        self.cookie = response.headers.get("set-cookie", self.cookie)
        return response, kept


@noticed_by("nothing_is_sent_by_making_one")
class ConnectsWhenMade(Plain):
    def __init__(self, options):
        super().__init__(options)
        if options.url:
            self.give_back(self.connected(Request("GET", options.url, "/")))


@noticed_by("a_closed_one_sends_nothing", "one_that_is_closed_after_use")
class ClosesNothing(Plain):
    def close(self):
        super().close()
        self.closed = False


@noticed_by("a_second_close", "a_used_one_closes_twice", "a_closed_one", "one_that_is_closed_after_use", "closing_it")
class ClosesOnce(Plain):
    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        super().close()


@noticed_by("no_error_and_no_log")
class ShowsTheKeyInItsErrors(Plain):
    def failure(self, error, request):
        made = super().failure(error, request)
        shown = ", ".join(value for _, value in request.headers.multi_items)
        return self.error(f"{made.message} {shown}", made.cause, maybe_sent=made.maybe_sent)


@noticed_by("no_error_and_no_log")
class LogsBodies(Plain):
    def body(self, request):
        logging.getLogger("broken").debug("sending %r", request.body)
        return request.body


@noticed_by("closing_it_closes_its_connections")
class KeepsItsConnectionsOpen(Plain):
    left = []  # noqa: RUF012 - nothing of it is collected

    def close(self):
        self.left.extend(self.idle)
        self.idle = []
        super().close()


@noticed_by("no_error_and_no_log")
class PrintsWhatItSends(Plain):
    def body(self, request):
        print("sending", request.body)  # noqa: T201 - the fault
        return request.body


@noticed_by("no_header_is_added")
class AddsAContentType(Plain):
    def headers(self, request):
        given = [] if "content-type" in request.headers else [("Content-Type", "text/plain")]
        return [*request.headers.multi_items, *given]


@noticed_by("headers_go_out_as_they_are")
class CutsLongHeaders(Plain):
    def headers(self, request):
        return [(name, value[:4096]) for name, value in request.headers.multi_items]


@noticed_by("requests_do_not_wait_for_each_other")
class SendsOneAtATime(Plain):
    def __init__(self, options):
        super().__init__(options)
        self.turn = threading.Lock()

    def send(self, request):
        with self.turn:
            return super().send(request)


@noticed_by("an_interim_answer")
class TakesAnInterimAnswerForTheAnswer(Plain):
    def read(self, connection, end):
        answer = connection.getresponse()
        if answer.status >= 200:
            return Response(answer.status, Headers(answer.getheaders()), answer.read()), not answer.will_close
        return Response(answer.status), True


@noticed_by("an_answer_that_does_not_come_in_time", "a_connection_that_does_not", "an_answer_that_came_late")
class WaitsTooLong(Plain):
    def send(self, request):
        return super().send(replace(request, timeout=request.timeout and request.timeout * 10))


@noticed_by("closing_it_under_way")
class SaysThatARequestUnderWayWasNotSent(Plain):
    def send(self, request):
        response = super().send(request)
        if self.closed:
            raise ClientClosedError
        return response


@noticed_by("option_headers")
class ClaimsAnOptionThatItDrops(Plain):
    capabilities = ("headers",)


@noticed_by("its_spec_fits_this_sdk")
class ClaimsAnOptionThatIsNone(Plain):
    capabilities = ("retries",)


# ---- awaiting ones


@noticed_by("other_tasks_run_while_it_waits", table=AWAITING)
class BlocksTheLoop(AiohttpTransport):
    sent = 0

    async def send(self, request):
        self.sent += 1
        if self.sent == 2:
            time.sleep(0.5)  # noqa: ASYNC251 - the fault
        return await super().send(request)


@noticed_by("a_cancelled_request_gives_its_connection_back", table=AWAITING)
class SwallowsCancellation(AiohttpTransport):
    async def send(self, request):
        try:
            return await super().send(request)
        except asyncio.CancelledError:
            raise TransportError("cancelled", cause="timeout", maybe_sent=True) from None


@noticed_by("a_cancelled_request_gives_its_connection_back", table=AWAITING)
class LosesTheConnectionOfACancelledRequest(AiohttpTransport):
    def __init__(self, options):
        super().__init__(options=options)
        self.free = options.max_connections or 100

    async def send(self, request):
        end = time.monotonic() + 0.5
        while not self.free:
            if time.monotonic() > end:
                raise TransportError("no free connection", cause="timeout", maybe_sent=False)
            await asyncio.sleep(0.001)
        self.free -= 1
        try:
            response = await super().send(request)
        except TransportError:
            self.free += 1
            raise
        self.free += 1
        return response


@noticed_by("it_serves_one_event_loop_after_the_other", "children_of_a_fork", table=AWAITING)
class StaysWithItsFirstLoop(AiohttpTransport):
    loop = None

    async def send(self, request):
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError("attached to another loop")
        return await super().send(request)


def spec_of(broken):
    """How it is made, and what it claims."""
    if broken in AWAITING:
        return TransportSpec(
            create_async=lambda options: broken(options=options), capabilities=frozenset({"max_connections"})
        )
    return TransportSpec(create=broken, capabilities=frozenset(getattr(broken, "capabilities", ())))
