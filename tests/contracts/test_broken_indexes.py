"""Each broken index fails the contract, and only by the tests of the rule that it breaks."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby

import pytest

from memtrace import Memtrace
from memtrace.testing import IndexedTransportContract, _index_contract
from memtrace.transport import Headers, IndexAnswer, IndexQuery, Response
from memtrace_transports import SqliteTransport
from tests.contracts import noticing
from tests.sampling import sample

BROKEN = {}

noticed_by = functools.partial(noticing.noticed_by, table=BROKEN)

HITS = "hits_are_those_of_the_client_s_index"
PROMPTS = "prompts_have_the_newest"


class Index(SqliteTransport):
    """An index that is right, but for what a subclass changes of a question or an answer."""

    def change_query(self, asked):
        return asked

    def change_answer(self, answer, asked):
        return answer

    def search(self, request):
        response = super().send(request)
        if response.status != 200:
            return response
        asked = IndexQuery.model_validate_json(request.body)
        answer = self.change_answer(IndexAnswer.model_validate_json(response.body), asked)
        return Response(200, response.headers, answer.model_dump_json().encode())

    def send(self, request):
        if request.operation != "memories.search" or request.method != "POST":
            return super().send(request)
        try:
            asked = self.change_query(IndexQuery.model_validate_json(request.body))
        except ValueError:
            return super().send(request)
        return self.search(replace(request, body=asked.model_dump_json().encode()))


@noticed_by()
class Right(Index):
    pass


@noticed_by(
    "the_transport_offers_an_index",
    "vectors_are_kept",
    "what_is_forgotten",
    "it_counts",
    "a_rebuild",
)
class OffersNone(SqliteTransport):
    search_path = property()


@noticed_by("the_transport_offers_an_index")
class PathWithAQuery(Index):
    search_path = "/index/search?"

    def send(self, request):
        target = request.target.removesuffix("?")
        return super().send(replace(request, target=target))


@noticed_by("filters_hold")
class IgnoresTags(Index):
    def change_query(self, asked):
        return asked.model_copy(update={"tags": None})


@noticed_by("filters_hold")
class GoesByWhenItWasStored(Index):
    def change_query(self, asked):
        return asked.model_copy(update={"since": None, "until": None})


@noticed_by("filters_hold", HITS, PROMPTS)
class IgnoresTheSession(Index):
    def change_query(self, asked):
        return asked.model_copy(update={"session_id": None})


def turned(hits):
    """Hits with those of one score the other way round."""
    return [hit for _, same in groupby(hits, key=lambda hit: hit.score) for hit in reversed(list(same))]


@noticed_by("ties_are_settled")
class TurnsTiesRound(Index):
    def change_answer(self, answer, asked):
        is_of_ties = all(hit.memory.content.startswith("tea ") and len(hit.memory.content) == 5 for hit in answer.hits)
        return answer.model_copy(update={"hits": turned(answer.hits)}) if is_of_ties else answer


@noticed_by(HITS, "filters_hold", "vectors_are_kept")
class CountsEachOnce(Index):
    def change_answer(self, answer, asked):
        return answer.model_copy(update={"hits": [hit.model_copy(update={"count": 1}) for hit in answer.hits]})


@noticed_by(HITS, "filters_hold", PROMPTS, "vectors_are_kept")
class SaysNothingOfNeighbours(Index):
    def change_answer(self, answer, asked):
        hits = [hit.model_copy(update={"previous": None, "next": None}) for hit in answer.hits]
        return answer.model_copy(update={"hits": hits})


@noticed_by(PROMPTS)
class ForgetsTheNewest(Index):
    def change_query(self, asked):
        return asked.model_copy(update={"newest": 0})


@noticed_by(HITS, "filters_hold", PROMPTS, "a_hit_is_the_memory", "vectors_are_kept")
class LosesMetadata(Index):
    def change_answer(self, answer, asked):
        hits = [
            hit.model_copy(update={"memory": hit.memory.model_copy(update={"metadata": None})}) for hit in answer.hits
        ]
        return answer.model_copy(update={"hits": hits})


@noticed_by("what_can_be_read_is_found")
class AnswersFromACache(Index):
    def change_answer(self, answer, asked):
        if asked.query != "tea" or asked.vector or any(hit.memory.session_id for hit in answer.hits):
            return answer
        kept = vars(self).setdefault("kept", answer)
        return answer if len(kept.hits) > 1 else kept


@noticed_by("another_organisation")
class KnowsOneOrganisation(Index):
    def search(self, request):
        asked = IndexQuery.model_validate_json(request.body)
        if asked.query not in ("tea", "the user in Lisbon") or asked.vector or asked.limit == 4:
            return super().search(request)
        response = super().search(request)
        if IndexAnswer.model_validate_json(response.body).hits:
            return response
        return super().search(request.with_header("x-api-key", "key_of_one"))


@noticed_by("it_counts_what_it_has")
class CountsAllOfIt(Index):
    def change_query(self, asked):
        alone = asked.counted and asked.agent_id in ("a", "nobody") and not asked.missing
        return asked.model_copy(update={"agent_id": None}) if alone and not asked.model else asked


@noticed_by("vectors_are_kept", "models_have", "a_rebuild")
class KeepsNoVectors(Index):
    def change_query(self, asked):
        return asked.model_copy(update={"vectors": []})


@noticed_by("models_have", "a_rebuild")
class KnowsOneModel(Index):
    def change_query(self, asked):
        return asked.model_copy(update={"model": asked.model and "one"})


@noticed_by("a_rebuild")
class RebuildsNothing(Index):
    def change_query(self, asked):
        return asked.model_copy(update={"rebuild": False})


@noticed_by("what_is_no_query")
class AnswersAnything(Index):
    def send(self, request):
        response = super().send(request)
        if response.status != 400:
            return response
        return Response(200, Headers({"content-type": "application/json"}), b"{}")


@noticed_by("what_is_forgotten")
class KeepsWhatIsForgotten(Index):
    pass


@noticed_by(HITS, "filters_hold", "vectors_are_kept")
class ScoresBelowNothing(Index):
    def change_answer(self, answer, asked):
        hits = [hit.model_copy(update={"score": hit.score - 1e9}) for hit in answer.hits]
        return answer.model_copy(update={"hits": hits})


class Contract(IndexedTransportContract):
    """What the modules below run, each with its transport."""

    def made(self, path, organisation, **settings):
        return Memtrace("memory://", f"key_of_{organisation}", transport=self.broken(str(path)), **settings)


MODULE = """
import pytest
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.contracts import test_broken_indexes as broken

class TestIt(broken.Contract):
    broken = broken.{name}

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "contract.db"

    @pytest.fixture
    def connect(self, path):
        return lambda organisation, **settings: self.made(path, organisation, **settings)

    @pytest.fixture
    def forget(self, path, connect):
        def forget(organisation, agent_id):
            if self.broken is broken.KeepsWhatIsForgotten:
                return
            with connect(organisation) as client:
                org_id = client.memories.list(limit=1).memories[0].org_id
            with StoreFile(str(path)) as store:
                store.forget(agent_id, organisation=org_id)
        return forget
"""


def failures(pytester, broken):
    return noticing.failures(pytester, MODULE.format(name=broken.__name__))


@pytest.mark.slow
@pytest.mark.parametrize("broken", sample(BROKEN, 2), ids=lambda broken: broken.__name__)
def test_a_broken_index_is_caught(pytester, broken):
    assert noticing.astray(failures(pytester, broken), BROKEN[broken]) == ([], [])


class ContractOfNobody(IndexedTransportContract):
    pass


@pytest.mark.parametrize("made", [None, SqliteTransport("sqlite:///nowhere.db")])
def test_what_is_no_client_is_told(made):
    with pytest.raises(pytest.fail.Exception, match="gives a function that makes a client; it made"):
        ContractOfNobody().test_the_transport_offers_an_index(
            lambda: _index_contract._Client(lambda organisation: made, "one", {})
        )


def test_a_subclass_without_connect_is_told():
    with pytest.raises(NotImplementedError, match="needs a fixture `connect`"):
        ContractOfNobody.connect.__wrapped__(ContractOfNobody())


def test_a_connect_that_is_no_fixture_is_told():
    with pytest.raises(TypeError, match="connect needs the decorator"):
        type("Mine", (IndexedTransportContract,), {"connect": lambda self: None})


def test_without_forget_nothing_is_forgotten():
    assert ContractOfNobody.forget.__wrapped__(ContractOfNobody()) is None
    with pytest.raises(pytest.skip.Exception, match="nothing can be removed"):
        ContractOfNobody().test_what_is_forgotten_is_found_no_more(None, None)


class SaysNothing(ContractOfNobody):
    knows_neighbours = False


@pytest.mark.parametrize(
    "rule",
    [
        lambda contract, *given: contract.test_hits_are_those_of_the_client_s_index(*given, "tea"),
        SaysNothing.test_prompts_have_the_newest_and_what_is_relevant,
    ],
)
def test_one_that_knows_no_neighbours_may_say_so(tmp_path, rule):
    with ExitStack() as stack:

        def client(organisation="one", **settings):
            store = SaysNothingOfNeighbours(str(tmp_path / "store.db"))
            made = Memtrace("memory://", "key", transport=store, **settings)
            return stack.enter_context(_index_contract._Client(lambda _: made, organisation, {}))

        rule(SaysNothing(), client, tmp_path)
        with pytest.raises(AssertionError, match="has such memories already"):
            rule(SaysNothing(), client, tmp_path)
