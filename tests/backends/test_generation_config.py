"""generation_config.json: every field is obeyed, refused, told, or left out on purpose."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig as Theirs

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.generation_config import GenerationConfig
from gptcli.backends.local.generation_fields import LEFT_OUT, OTHERS, REFUSED, RULES, SAMPLING
from gptcli.backends.local.open_model import OpenModel
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.errors import ModelError
from gptcli.types.completion import Chunk, Request
from gptcli.types.compute import Compute
from gptcli.types.events import Notice
from gptcli.types.models import ModelDir
from gptcli.types.rules import NO_RULES
from gptcli.types.sampling import Sampling, SamplingWish

GREEDY = {"do_sample": False}


def reader(directory: Path, **fields: Any) -> GenerationConfig:
    (directory / "generation_config.json").write_text(json.dumps(fields))
    return GenerationConfig(directory, ConfigFields("config.json", {}))


@pytest.fixture
def directory(tiny_model: Path, tmp_path: Path) -> Path:
    found = tmp_path / "model"
    shutil.copytree(tiny_model, found)
    return found


def completed(directory: Path, prompt: str = "the cat", n: int = 8, **fields: Any) -> list[Any]:
    if fields:
        (directory / "generation_config.json").write_text(json.dumps(fields))
    backend = LocalBackend(OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu")))
    return list(backend.answer(Request(prompt=prompt, max_new_tokens=n, logprobs=0)))


def drawn(events: list[Any]) -> list[int]:
    return [token.id for each in events if isinstance(each, Chunk) for token in each.tokens]


def text(events: list[Any]) -> str:
    return "".join(each.text for each in events if isinstance(each, Chunk))


def test_every_field_that_transformers_knows_has_a_place():
    """Catches a field that nobody looked at: it would be ignored without a word."""
    known = {*SAMPLING, *RULES, *OTHERS, *REFUSED, *LEFT_OUT}
    theirs = {name for name in vars(Theirs()) if not name.startswith("_")}
    assert theirs - known == set()
    places = [*SAMPLING, *RULES, *OTHERS, *REFUSED, *LEFT_OUT]
    assert len(places) == len(known), "a field has two places"


def test_what_is_off_is_no_rule(tmp_path):
    """Catches a model that is refused for a file in which all of its defaults are written down."""
    fields = {k: v for k, v in Theirs().to_dict().items() if not k.startswith("_")}
    fields |= {name: values[0] if values else None for name, values in REFUSED.items()}
    fields |= Theirs._get_default_generation_params()
    found = reader(tmp_path, **fields)
    assert found.rules(frozenset([2]), 100) == NO_RULES
    assert list(found.notices()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("top_h", 0.9), ("num_beams", 4), ("guidance_scale", 1.5), ("penalty_alpha", 0.6)),
        *(("forced_eos_token_id", 2), ("forced_bos_token_id", 0), ("token_healing", True)),
        *(("epsilon_cutoff", 3e-4), ("eta_cutoff", 3e-4), ("dola_layers", "high")),
        *(("constraints", [{}]), ("encoder_no_repeat_ngram_size", 2), ("num_beams", True)),
        ("mirostat", 2),
    ],
)
def test_what_is_not_done_is_refused_by_name(tmp_path, name, value):
    """Catches a model that is drawn from in another way than its publisher asks for."""
    with pytest.raises(ModelError, match=f"generation_config.json: '{name}' .* is not supported"):
        reader(tmp_path, **{name: value}).rules(frozenset(), 100)


@pytest.mark.parametrize("name", ["epsilon_cutoff", "eta_cutoff", "top_h"])
def test_filters_of_the_draw_say_nothing_where_nothing_is_drawn(tmp_path, name):
    """Catches a model that --temperature 0 cannot use, for a filter that has no effect there."""
    found = reader(tmp_path, do_sample=True, **{name: 0.5})
    assert found.rules(frozenset(), 100, greedy=True) == NO_RULES
    with pytest.raises(ModelError, match=name):
        found.rules(frozenset(), 100)


def test_contrastive_search_is_one_in_place_of_greedy_search(tmp_path):
    """Catches a model that is refused for a number that transformers does not look at either."""
    found = reader(tmp_path, do_sample=True, penalty_alpha=0.6, top_k=4)
    assert found.rules(frozenset(), 100) == NO_RULES


def test_what_llama_cpp_has_too_is_obeyed(directory):
    """Catches a setting of the file's that is left out, and one that is off and still keeps our own
    defaults away.
    """
    path = directory / "generation_config.json"
    path.write_text(json.dumps({"typical_p": 1.0, "xtc_probability": 0, "xtc_threshold": 0.2}))
    off = OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu"))
    assert off.sampling(SamplingWish()) == replace(
        Sampling(temperature=0.8, min_p=0.05, repeat_penalty=1.05, repeat_last=256),
        xtc_threshold=0.2,
    )
    path.write_text(json.dumps({"typical_p": 0.9, "xtc_probability": 0.5}))
    model = OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu"))
    found = model.sampling(SamplingWish(xtc_probability=0.25))
    assert found == Sampling(temperature=0.8, typical_p=0.9, xtc_probability=0.25)
    path.write_text(json.dumps({"xtc_probability": 2}))
    wrong = OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu"))
    with pytest.raises(ModelError, match="xtc_probability"):
        wrong.sampling(SamplingWish())


def test_samplers_that_are_not_named_are_off(directory):
    """Catches a default that filters though --samplers leaves it out, and dry without breakers."""
    model = OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu"))
    wish = SamplingWish(samplers=("top_k", "dry"), top_k=5, top_p=0.5, dry_multiplier=0.8)
    found = model.sampling(wish)
    order = ("top_k", "dry")
    expected = Sampling(temperature=1.0, top_k=5, dry_multiplier=0.8, samplers=order)
    assert found.told == expected and found.dry_breaks
    bare = model.sampling(replace(wish, dry_sequence_breakers=("none",)))
    assert bare == replace(expected, dry_sequence_breakers=())
    greedy = model.sampling(SamplingWish(samplers=("top_k",), temperature=0))
    assert greedy == Sampling(temperature=0, samplers=("top_k",))


def test_top_k_of_minus_one_is_off(tmp_path):
    """Catches a model that is refused for how the programs it was published for spell it."""
    assert reader(tmp_path, top_k=-1).number("top_k") == 0


def test_what_the_user_says_is_not_looked_for(directory):
    """Catches a model that cannot be used for a number of its file that --top-p takes the place of.

    It is no silence of the file's either: the penalty of our own stays off.
    """
    (directory / "generation_config.json").write_text(json.dumps({"top_p": 7}))
    backend = LocalBackend(OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu")))
    request = Request(prompt="the cat", max_new_tokens=1)
    with pytest.raises(ModelError, match="top_p"):
        list(backend.answer(request))
    wish = SamplingWish(top_p=0.5)
    usage = list(backend.answer(replace(request, sampling=wish)))[-1]
    assert usage.sampling.top_p == 0.5 and usage.sampling.repeat_penalty == 1


def test_a_way_to_draw_gives_way_to_the_users_own(directory):
    """Catches a model that nobody can use without editing its files."""
    (directory / "generation_config.json").write_text(json.dumps({"num_beams": 4}))
    model = OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu"))
    with pytest.raises(ModelError, match=r"'num_beams' 4 .*\(--temperature says how to draw"):
        model.sampling(SamplingWish())
    assert model.sampling(SamplingWish(temperature=0.7)).temperature == 0.7
    (directory / "generation_config.json").write_text(json.dumps({"guidance_scale": 4}))
    model = OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu"))
    with pytest.raises(ModelError, match="guidance_scale"):
        model.sampling(SamplingWish(temperature=0.7))


def test_what_is_not_known_is_told(tmp_path):
    """Catches a field of another program's, or of one to come, that goes by in silence."""
    found = list(reader(tmp_path, new_way=1, other=2, _commit_hash="x", top_k=3).notices())
    assert [each.text for each in found] == ["leaves out what is not known: 'new_way', 'other'"]


@pytest.mark.parametrize(
    "fields",
    [
        *({"suppress_tokens": 5}, {"suppress_tokens": [True]}, {"suppress_tokens": [1.5]}),
        *({"bad_words_ids": [3]}, {"bad_words_ids": [[True]]}, {"bad_words_ids": "no"}),
        *({"sequence_bias": {"3": 1}}, {"sequence_bias": [[[1], "x"]]}, {"min_length": -1}),
        *({"sequence_bias": [[[1], 1e31]]}, {"min_new_tokens": 1.5}, {"min_new_tokens": True}),
        *({"encoder_repetition_penalty": 0}, {"no_repeat_ngram_size": "2"}, {"min_length": 2**40}),
        *({"exponential_decay_length_penalty": [1]}, {"suppress_tokens": [0] * 70000}),
        *({"exponential_decay_length_penalty": [1, -1]}, {"encoder_repetition_penalty": 10**400}),
    ],
)
def test_what_cannot_be_is_the_files_fault(tmp_path, fields):
    """Catches a traceback for a file that nobody vouches for."""
    with pytest.raises(ModelError, match=next(iter(fields))):
        reader(tmp_path, **fields).rules(frozenset(), 100)


@pytest.mark.parametrize("fields", [{"stop_strings": 3}, {"stop_strings": ["a", 3]}])
def test_stop_strings_are_texts(tmp_path, fields):
    """Catches a number that the stop matcher would iterate over."""
    with pytest.raises(ModelError, match="stop_strings"):
        reader(tmp_path, **fields).stop_strings()


def test_tokens_that_have_no_logit_cannot_come(tmp_path):
    """Catches an index beyond the vocabulary: multimodal models suppress such."""
    found = reader(tmp_path, suppress_tokens=[3, 100], bad_words_ids=[[4, 200], [5], [2]])
    rules = found.rules(frozenset([2]), 100)
    assert rules.forbidden == (3,) and rules.forbidden_sequences == ((5,),)


def test_rules_once_stood_in_the_config(tmp_path):
    """Catches an old model whose rules are lost since it has no generation_config.json."""
    config = ConfigFields("config.json", {"suppress_tokens": [3], "num_beams": 1, "top_k": 50})
    assert GenerationConfig(tmp_path, config).rules(frozenset(), 9).forbidden == (3,)
    refused = ConfigFields("config.json", {"num_beams": 4})
    with pytest.raises(ModelError, match=r"config.json: 'num_beams' 4"):
        GenerationConfig(tmp_path, refused).rules(frozenset(), 9)


def test_rules_reach_what_is_drawn(directory):
    """Catches rules that are read and not obeyed: the fault that this file is about."""
    plain = drawn(completed(directory, **GREEDY))
    first, second = plain[:2]
    for fields in (
        {"suppress_tokens": [first]},
        {"begin_suppress_tokens": [first]},
        {"bad_words_ids": [[first]]},
        {"sequence_bias": [[[first], -1e9]]},
    ):
        found = drawn(completed(directory, **GREEDY, **fields))
        assert found[0] != first, fields
    found = drawn(completed(directory, **GREEDY, bad_words_ids=[[first, second]]))
    assert found[0] == first and found[1] != second


def test_no_end_comes_before_its_time(directory):
    """Catches an end that is drawn all the same, and one that never comes."""
    plain = drawn(completed(directory, **GREEDY))
    ends = {"eos_token_id": plain[2]}
    short = len(drawn(completed(directory, **GREEDY, **ends)))
    assert short <= 3 < len(plain)
    longer = drawn(completed(directory, **GREEDY, **ends, min_new_tokens=5))
    assert len(longer) >= 5 and plain[2] not in longer[:5]


def test_stop_strings_of_the_file_end_a_text(directory):
    """Catches a text that runs on beyond what its publisher ends it with."""
    plain = text(completed(directory, **GREEDY))
    stop = plain[2:4]
    assert text(completed(directory, **GREEDY, stop_strings=[stop])) == plain[: plain.index(stop)]
    assert text(completed(directory, **GREEDY, stop_strings=stop)) == plain[: plain.index(stop)]


def test_a_notice_reaches_the_answer(directory):
    """Catches a word that is written for nobody."""
    events = completed(directory, **GREEDY, unheard_of=1)
    assert any(isinstance(each, Notice) and "unheard_of" in each.text for each in events)


@pytest.mark.parametrize(
    ("fields", "wish", "expected"),
    [
        ({}, {}, (1.05, 256)),
        ({"eos_token_id": 3}, {}, (1.05, 256)),
        ({}, {"temperature": 0.3}, (1.05, 256)),
        ({}, {"temperature": 0}, (1.0, 0)),
        ({}, {"repeat_penalty": 1.0}, (1.0, 0)),
        ({}, {"repeat_penalty": 1.2}, (1.2, 0)),
        ({}, {"presence_penalty": 0.0}, (1.0, 0)),
        ({}, {"frequency_penalty": 0.5}, (1.0, 0)),
        (GREEDY, {}, (1.0, 0)),
        ({"top_k": 40}, {}, (1.0, 0)),
        ({"repetition_penalty": 1.3}, {}, (1.3, 0)),
    ],
)
def test_who_says_nothing_gets_a_gentle_repeat_penalty(directory, fields, wish, expected):
    """Catches a default that beats what a person or a publisher said."""
    (directory / "generation_config.json").write_text(json.dumps(fields))
    model = OpenModel(ModelDir("m", directory, "test"), Compute(device="cpu"))
    found = model.sampling(SamplingWish(**wish))
    assert (found.repeat_penalty, found.repeat_last) == expected
