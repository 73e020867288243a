"""How byte-level BPE cuts a text before it merges: each way by the name that GGUF files give it.

The names are those of `tokenizer.ggml.pre`; what each stands for is the pre-tokenizer (and the
normalizer) of the tokenizer.json that the model was published with, or the pattern of its code
where it was published as a tiktoken file.
"""

from __future__ import annotations

from gptcli.formats.tokenizer_json.parts import Part, sequence
from gptcli.plain import dataclass

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_NO_CAPITALS = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_NO_SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_SIGNS = r" ?[^\s\p{L}\p{N}]+"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# The same but for how many digits are one piece.
_LLAMA3 = rf"{_CONTRACTIONS}|{_BEFORE}\p{{L}}+|\p{{N}}{{1,3}}|{_SIGNS}[\r\n]*|{_SPACES}"
_QWEN2 = rf"{_CONTRACTIONS}|{_BEFORE}\p{{L}}+|\p{{N}}|{_SIGNS}[\r\n]*|{_SPACES}"
# Marks belong to the letters before them.
_QWEN35 = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_MINICPM5 = rf"{_CONTRACTIONS}|{_BEFORE}\p{{L}}+|\p{{N}}+|{_SIGNS}[\r\n]*|{_SPACES}"
_BAILING = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
# Korean phrases of several words are one piece, and one line end at most goes with signs.
_EXAONE_MOE = (
    rf"{_CONTRACTIONS}|{_BEFORE}(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
    rf"|{_SIGNS}[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"
)
_SEED = rf"{_CONTRACTIONS}|{_BEFORE}\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}"
_O200K = (
    rf"{_BEFORE}{_NO_SMALL}*{_NO_CAPITALS}+{_CONTRACTIONS}?"
    rf"|{_BEFORE}{_NO_SMALL}+{_NO_CAPITALS}*{_CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}|{_SIGNS}[\r\n/]*|{_SPACES}"
)
_NO_CAPITALS_OR_HAN = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_NO_SMALL_OR_HAN = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_KIMI = (
    rf"[\p{{Han}}]+|{_BEFORE}{_NO_SMALL_OR_HAN}*{_NO_CAPITALS_OR_HAN}+{_CONTRACTIONS}?"
    rf"|{_BEFORE}{_NO_SMALL_OR_HAN}+{_NO_CAPITALS_OR_HAN}*{_CONTRACTIONS}?"
    rf"|\p{{N}}{{1,3}}|{_SIGNS}[\r\n]*|{_SPACES}"
)
_TEKKEN = (
    rf"{_BEFORE}{_NO_SMALL}*{_NO_CAPITALS}+|{_BEFORE}{_NO_SMALL}+{_NO_CAPITALS}*"
    rf"|\p{{N}}|{_SIGNS}[\r\n/]*|{_SPACES}"
)
_BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
_DEEPSEEK_3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}"
)
# Thousands are counted from the right.
_THOUSANDS = r"\d{1,3}(?=(?:\d{3})*\b)"
_YOUTU = "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"
_YOUTU_WORDS = _O200K.replace(r"\p{N}{1,3}", r"\p{N}")
_CJK = "[一-龥ࠀ-一가-\ud7ff]+"
#: The letters that DeepSeek's first models list one by one: Latin, Greek, Cyrillic, Armenian, …
_DEEPSEEK_LETTERS = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕ"
    "ἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄ"
    "Ⰰ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)


@dataclass(frozen=True)
class Splitting:
    """One way to cut a text.

    whole_words: a piece that is a token by itself is not put together from merges. begins: texts
    begin with a BOS token where a file does not say so.
    """

    pre_tokenizer: Part
    normalizer: Part | None = None
    whole_words: bool = False
    begins: bool = False


def byte_level(*, use_regex: bool, add_prefix_space: bool = False) -> Part:
    """Bytes spelt as characters; use_regex: after a cut by GPT-2's own pattern."""
    return {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def _split(pattern: str) -> Part:
    # Matches and what lies between them become pieces of their own.
    kind = {"pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Split", **kind}


def _digits(*, each: bool) -> Part:
    return {"type": "Digits", "individual_digits": each}


def _chain(*parts: Part) -> Part:
    found = sequence("pretokenizers", parts)
    assert found is not None
    return found


def _splits(*patterns: str) -> Part:
    return _chain(*map(_split, patterns), byte_level(use_regex=False))


_NFC = {"type": "NFC"}
_GPT2_WAY = byte_level(use_regex=True)
_DIGIT_WAY = _chain(_digits(each=True), byte_level(use_regex=True))
_THREES = "[0-9][0-9][0-9]"
_FALCON_WAY = _chain(
    {"type": "Punctuation", "behavior": "Contiguous"},
    byte_level(use_regex=True),
    _digits(each=False),
    _split(_THREES),
)
_DEEPSEEK_END = (_digits(each=True), byte_level(use_regex=False))
_DEEPSEEK_LLM_WAY = _chain(
    _split("[\r\n]"),
    _split(rf"\s?[{_DEEPSEEK_LETTERS}]+"),
    _split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
    _split(r"\s+$"),
    _split(_CJK),
    *_DEEPSEEK_END,
)
_DEEPSEEK_CODER_WAY = _chain(
    _split("[\r\n]"), _split(r"\s?\p{L}+"), _split(r"\s?\p{P}+"), _split(_CJK), *_DEEPSEEK_END
)
_VIKING_WAY = _chain(_split(_BLOOM), _digits(each=True), byte_level(use_regex=False))

_BY_WAY: tuple[tuple[Splitting, str], ...] = (
    # llama.cpp's own, for files whose converter knew no better.
    (Splitting(_splits(r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", _THREES)), "default"),
    (
        Splitting(_GPT2_WAY),
        "gpt-2 phi-2 gigachat jais trillion exaone4 mellum a.x-4.0 granite-docling",
    ),
    # GPT-NeoX's tokenizer, which OLMo and MPT took over.
    (Splitting(_GPT2_WAY, _NFC), "mpt olmo"),
    (Splitting(_DIGIT_WAY), "smollm starcoder refact codeshell exaone minerva-7b mellum2"),
    (Splitting(_DIGIT_WAY, _NFC), "command-r"),
    (
        Splitting(_splits(_LLAMA3), whole_words=True, begins=True),
        "llama-bpe llama3 llama-v3 falcon3 falcon-h1 lfm2 pixtral midm-2.0",
    ),
    (Splitting(_splits(_LLAMA3)), "dbrx smaug-bpe"),
    (Splitting(_splits(_LLAMA3), whole_words=True), "chatglm-bpe glm4 glm5"),
    (Splitting(_splits(r"\p{N}{1,3}", _MINICPM5), whole_words=True), "minicpm5"),
    (Splitting(_splits(_QWEN2), _NFC), "qwen2 f2llmv2"),
    (Splitting(_splits(_QWEN35), _NFC), "qwen35"),
    (Splitting(_splits(_QWEN2)), "deepseek-r1-qwen stablelm2 megrez kormo solar-open grok-2"),
    # Line ends stand apart, whatever comes before them.
    (Splitting(_splits(r"[^\n]+|[\n]+", _QWEN2)), "laguna"),
    (Splitting(_splits(_BAILING)), "bailingmoe bailingmoe2 llada-moe"),
    (Splitting(_splits(_EXAONE_MOE)), "exaone-moe"),
    (Splitting(_splits(_SEED)), "seed-coder"),
    (Splitting(_splits(_TEKKEN), whole_words=True, begins=True), "tekken"),
    (Splitting(_splits(_O200K)), "gpt-4o llama4 kanana2 minimax-m2 talkie"),
    (Splitting(_splits(_THOUSANDS, _O200K), _NFC), "tiny_aya cohere2moe"),
    (Splitting(_splits(_KIMI), whole_words=True), "kimi-k2"),
    (Splitting(_splits(_YOUTU, _YOUTU_WORDS), whole_words=True), "youtu"),
    (Splitting(_splits(_BLOOM)), "bloom gpt3-finnish poro-chat"),
    (Splitting(_VIKING_WAY), "viking"),
    (Splitting(_FALCON_WAY), "falcon"),
    (Splitting(_DEEPSEEK_LLM_WAY), "deepseek-llm"),
    (Splitting(_DEEPSEEK_CODER_WAY), "deepseek-coder"),
    (
        Splitting(_splits(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK_3)),
        "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
    ),
)
#: `tokenizer.ggml.pre` → what it stands for.
WAYS = {name: way for way, names in _BY_WAY for name in names.split()}
